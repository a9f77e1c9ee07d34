// Reading Parquet, Arrow IPC files (Feather V2) and Arrow IPC streams, batch by batch.
//
// Invariants: the file is read with pread, never mapped, so that a file cut short under us is an error and not a
// signal; memory is one decoded batch plus one read buffer per column, and bounded whatever the file says of itself;
// `position` counts the rows returned or skipped.

// First, because it says what to do where Arrow is missing.
#include "Shared.h"

#include <arrow/array/array_base.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/c/bridge.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "ReaderPool.h"

using arrow::Result;
using arrow::Status;

namespace {

// Bytes of one column chunk that are read ahead, and of all columns together. Without a buffered stream Parquet loads a
// row group's whole column.
constexpr int64_t kParquetReadBuffer = int64_t{256} << 10;
constexpr int64_t kParquetReadBuffers = int64_t{64} << 20;
constexpr int64_t kLeastReadBuffer = int64_t{4} << 10;

// A batch whose values turn out to need more memory than there is for it is decoded in fewer rows, by this much.
constexpr int64_t kFewerRows = 16;

arrow::ipc::IpcReadOptions ipc_options(arrow::MemoryPool* pool) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = pool;
  options.use_threads = false;
  // Swift binds buffers to their element type; a file may hold them at any address.
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  return options;
}

parquet::ReaderProperties parquet_properties(arrow::MemoryPool* pool, int64_t buffer, int32_t list_limit) {
  parquet::ReaderProperties properties(pool);
  properties.enable_buffered_stream();
  properties.set_buffer_size(buffer);
  properties.set_page_checksum_verification(true);
  // Lists of the footer are made before their elements are read.
  properties.set_thrift_container_size_limit(std::min(list_limit, properties.thrift_container_size_limit()));
  return properties;
}

parquet::ArrowReaderProperties arrow_properties(int64_t batch_rows) {
  parquet::ArrowReaderProperties options(/*use_threads=*/false);
  options.set_pre_buffer(false);
  options.set_batch_size(batch_rows);
  // INT96 as nanoseconds ends in 2262; microseconds are what the caller wants anyway.
  options.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
  return options;
}

// Parquet throws where Arrow returns; the status of either.
template <typename Body>
Status caught(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const parquet::ParquetStatusException& exception) {
    return exception.status();
  }
}

// Older versions of Arrow have an out parameter where newer ones return a result; both forms are served.
template <typename Reader>
Result<std::unique_ptr<arrow::RecordBatchReader>> batches_of(Reader& reader, const std::vector<int>& groups,
                                                             const std::vector<int>& leaves) {
  if constexpr (requires { reader.GetRecordBatchReader(groups, leaves).ValueOrDie(); }) {
    return reader.GetRecordBatchReader(groups, leaves);
  } else {
    std::unique_ptr<arrow::RecordBatchReader> batches;
    ARROW_RETURN_NOT_OK(reader.GetRecordBatchReader(groups, leaves, &batches));
    return batches;
  }
}

void add_leaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const auto& child : field.children) add_leaves(child, leaves);
}

// Adds the leaves of the column or dotted path `name`; a column whose own name holds dots wins over a path.
bool add_leaves(const std::vector<parquet::arrow::SchemaField>& fields, std::string_view name,
                std::vector<int>& leaves) {
  for (const auto& field : fields) {
    if (field.field->name() == name) {
      add_leaves(field, leaves);
      return true;
    }
  }
  for (const auto& field : fields) {
    const std::string& head = field.field->name();
    if (field.field->type()->id() == arrow::Type::STRUCT && name.size() > head.size() + 1 &&
        name.substr(0, head.size()) == head && name[head.size()] == '.' &&
        add_leaves(field.children, name.substr(head.size() + 1), leaves)) {
      return true;
    }
  }
  return false;
}

// The type with binary data in the place of text, whose layout is the same. Types that are not looked into stay.
std::shared_ptr<arrow::DataType> without_text(const std::shared_ptr<arrow::DataType>& type) {
  const auto inner = [&](int index) {
    const auto& field = type->field(index);
    return field->WithType(without_text(field->type()));
  };
  switch (type->id()) {
    case arrow::Type::STRING:
      return arrow::binary();
    case arrow::Type::LARGE_STRING:
      return arrow::large_binary();
    case arrow::Type::STRING_VIEW:
      return arrow::binary_view();
    case arrow::Type::STRUCT: {
      arrow::FieldVector fields;
      for (int i = 0; i < type->num_fields(); ++i) fields.push_back(inner(i));
      return arrow::struct_(std::move(fields));
    }
    case arrow::Type::LIST:
      return arrow::list(inner(0));
    case arrow::Type::LARGE_LIST:
      return arrow::large_list(inner(0));
    case arrow::Type::LIST_VIEW:
      return arrow::list_view(inner(0));
    case arrow::Type::LARGE_LIST_VIEW:
      return arrow::large_list_view(inner(0));
    case arrow::Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(inner(0), static_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case arrow::Type::MAP:
      return std::make_shared<arrow::MapType>(inner(0), static_cast<const arrow::MapType&>(*type).keys_sorted());
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryType&>(*type);
      return arrow::dictionary(dictionary.index_type(), without_text(dictionary.value_type()), dictionary.ordered());
    }
    default:
      return type;
  }
}

std::shared_ptr<arrow::ArrayData> with_type(const arrow::ArrayData& data, std::shared_ptr<arrow::DataType> type) {
  auto copy = data.Copy();
  for (size_t i = 0; i < copy->child_data.size() && static_cast<int>(i) < type->num_fields(); ++i) {
    copy->child_data[i] = with_type(*copy->child_data[i], type->field(static_cast<int>(i))->type());
  }
  if (copy->dictionary != nullptr && type->id() == arrow::Type::DICTIONARY) {
    copy->dictionary = with_type(*copy->dictionary, static_cast<const arrow::DictionaryType&>(*type).value_type());
  }
  copy->type = std::move(type);
  return copy;
}

// Checks everything but whether text is UTF-8.
Status validate_without_text(const arrow::RecordBatch& batch) {
  ARROW_RETURN_NOT_OK(batch.Validate());
  for (const auto& column : batch.columns()) {
    const auto binary = arrow::MakeArray(with_type(*column->data(), without_text(column->type())));
    ARROW_RETURN_NOT_OK(binary->ValidateFull());
  }
  return Status::OK();
}

}  // namespace

struct CArrowReader {
  // First, so that it goes last.
  carrow::ReaderPoolHandle pool;
  CArrowLimits limits{};
  CArrowFormat format = CARROW_FORMAT_PARQUET;
  int64_t row_count = -1;
  int64_t file_bytes = 0;
  std::shared_ptr<arrow::io::ReadableFile> file;
  std::shared_ptr<arrow::Schema> schema;

  // Parquet: `batches` reads row groups from `parquet`, which must outlive it.
  std::unique_ptr<parquet::arrow::FileReader> parquet;
  std::vector<int> leaves;
  // Rows that are decoded at once; never more than before, once memory has not sufficed.
  int64_t most_rows = 0;
  int64_t decode_rows = 0;
  // Parquet and IPC stream.
  std::shared_ptr<arrow::RecordBatchReader> batches;
  // IPC file and stream: the schema of the whole file, and the numbers of the selected columns in it (none: all).
  std::shared_ptr<arrow::Schema> ipc_whole;
  std::vector<int> ipc_columns;
  // IPC file.
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> ipc;
  std::vector<int64_t> ipc_batch_rows;
  int ipc_next = 0;

  int64_t position = 0;
  // What is left of the batch that was decoded last.
  std::shared_ptr<arrow::RecordBatch> current;
  int64_t current_used = 0;
  // Whether all text of the batch that was decoded last is UTF-8.
  bool text_is_utf8 = true;

  explicit CArrowReader(const CArrowLimits& given)
      : pool(carrow::pool(), given.least_memory), limits(given), most_rows(given.batch_rows) {}

  int64_t buffered() const { return current == nullptr ? 0 : current->num_rows() - current_used; }

  Status open(const char* path) {
    ARROW_ASSIGN_OR_RAISE(file, arrow::io::ReadableFile::Open(path, pool.get()));
    ARROW_ASSIGN_OR_RAISE(file_bytes, file->GetSize());
    pool->set_limit(memory_limit());
    ARROW_ASSIGN_OR_RAISE(const auto magic, file->ReadAt(0, 6));
    const std::string_view start(reinterpret_cast<const char*>(magic->data()), static_cast<size_t>(magic->size()));
    if (start.empty()) return Status::Invalid("the file is empty");
    if (start == "ARROW1") {
      format = CARROW_FORMAT_IPC_FILE;
      return open_ipc_file();
    }
    if (start.starts_with("PAR1")) {
      format = CARROW_FORMAT_PARQUET;
      return open_parquet();
    }
    if (start.starts_with("PARE")) return Status::NotImplemented("an encrypted Parquet file");
    if (start.starts_with("FEA1")) return Status::NotImplemented("Feather V1; write it again as Feather V2");
    if (start.starts_with("\xff\xff\xff\xff")) {
      format = CARROW_FORMAT_IPC_STREAM;
      return open_ipc_stream();
    }
    return Status::Invalid("neither Parquet nor Arrow IPC by its first bytes");
  }

  // What the file may take: so many times its size, within bounds. Of an Arrow file, whose batches cannot be read in
  // part, at least what it has stored.
  int64_t memory_limit() const {
    const int64_t ratio = std::max<int64_t>(limits.memory_ratio, 1);
    const int64_t expanded = file_bytes > INT64_MAX / ratio ? INT64_MAX : file_bytes * ratio;
    int64_t limit = std::clamp(expanded, limits.least_memory, limits.most_memory);
    if (format != CARROW_FORMAT_PARQUET) {
      limit = std::max(limit, std::min(file_bytes, INT64_MAX / 2) * 2);
    }
    return limit;
  }

  // The length that the last eight bytes of a Parquet file give its footer; 0 where they are not the end of one, or say
  // what cannot be: the library says what is wrong then.
  Result<int64_t> footer_bytes() const {
    if (file_bytes < 12) return 0;
    ARROW_ASSIGN_OR_RAISE(const auto end, file->ReadAt(file_bytes - 8, 8));
    if (end->size() != 8 || std::string_view(reinterpret_cast<const char*>(end->data()) + 4, 4) != "PAR1") return 0;
    const uint8_t* bytes = end->data();
    const int64_t length = static_cast<int64_t>(bytes[0]) | static_cast<int64_t>(bytes[1]) << 8 |
                           static_cast<int64_t>(bytes[2]) << 16 | static_cast<int64_t>(bytes[3]) << 24;
    return length <= file_bytes - 12 ? length : 0;
  }

  Status open_parquet() {
    // A footer is not decoded in parts, and takes many times its size in memory.
    ARROW_ASSIGN_OR_RAISE(const int64_t footer, footer_bytes());
    if (footer > limits.footer_bytes) {
      return Status::OutOfMemory("a footer of ", footer, " bytes, at most ", limits.footer_bytes);
    }
    const auto list_limit = static_cast<int32_t>(std::clamp<int64_t>(footer, 1, INT32_MAX));
    const auto metadata =
        parquet::ParquetFileReader::Open(file, parquet_properties(pool.get(), kLeastReadBuffer, list_limit))->metadata();
    const int columns = metadata->num_columns();
    if (columns > limits.columns) {
      return Status::OutOfMemory(columns, " columns, at most ", limits.columns);
    }
    const int64_t buffer =
        std::clamp(kParquetReadBuffers / std::max(columns, 1), kLeastReadBuffer, kParquetReadBuffer);
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(file, parquet_properties(pool.get(), buffer, list_limit), metadata));
    builder.memory_pool(pool.get())->properties(arrow_properties(limits.batch_rows));
    ARROW_RETURN_NOT_OK(builder.Build(&parquet));
    row_count = metadata->num_rows();
    if (row_count < 0) return Status::Invalid("a negative number of rows");
    int64_t rows = 0;
    for (int group = 0; group < metadata->num_row_groups(); ++group) {
      const int64_t count = metadata->RowGroup(group)->num_rows();
      if (count < 0 || count > INT64_MAX - rows) return Status::Invalid("a number of rows that makes no sense");
      rows += count;
    }
    leaves.resize(static_cast<size_t>(columns));
    std::iota(leaves.begin(), leaves.end(), 0);
    return start_parquet(0);
  }

  int64_t rows_of_group(int group) const {
    return parquet->parquet_reader()->metadata()->RowGroup(group)->num_rows();
  }

  // How many rows to decode at once: fewer than asked for where the selected columns of a row group have more bytes for
  // a row, on average and as they are encoded, than `batch_bytes` allow. `pages` is set to what the pages of these columns
  // may take at once, as the file says.
  int64_t rows_at_once(int first_group, int64_t* pages) const {
    const auto metadata = parquet->parquet_reader()->metadata();
    int64_t rows = most_rows;
    *pages = 0;
    for (int group = first_group; group < metadata->num_row_groups(); ++group) {
      const auto row_group = metadata->RowGroup(group);
      int64_t bytes = 1;
      for (const int leaf : leaves) {
        const int64_t claimed = std::max<int64_t>(row_group->ColumnChunk(leaf)->total_uncompressed_size(), 0);
        bytes += std::min(claimed, limits.most_memory);
      }
      *pages = std::max(*pages, bytes);
      const double average = static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(row_group->num_rows(), 1));
      rows = std::min(rows, static_cast<int64_t>(static_cast<double>(limits.batch_bytes) / average));
    }
    return std::max<int64_t>(rows, 1);
  }

  Status start_parquet(int first_group) {
    int64_t pages = 0;
    decode_rows = rows_at_once(first_group, &pages);
    // What a batch of several rows may take; one that takes more is tried with fewer. A single row may have all there is.
    const int64_t most = memory_limit();
    pool->set_limit(decode_rows == 1 ? most : std::min(most, limits.least_memory / 2 + std::min(pages, most)));
    parquet->set_batch_size(decode_rows);
    std::vector<int> groups(static_cast<size_t>(parquet->num_row_groups() - first_group));
    std::iota(groups.begin(), groups.end(), first_group);
    ARROW_ASSIGN_OR_RAISE(batches, batches_of(*parquet, groups, leaves));
    schema = batches->schema();
    return Status::OK();
  }

  Status open_ipc_file() {
    pool->set_limit(memory_limit());
    auto options = ipc_options(pool.get());
    options.included_fields = ipc_columns;
    ARROW_ASSIGN_OR_RAISE(ipc, arrow::ipc::RecordBatchFileReader::Open(file, options));
    ARROW_ASSIGN_OR_RAISE(row_count, ipc->CountRows());
    schema = restricted(ipc->schema());
    return check_columns();
  }

  Status open_ipc_stream() {
    pool->set_limit(memory_limit());
    auto options = ipc_options(pool.get());
    options.included_fields = ipc_columns;
    ARROW_RETURN_NOT_OK(file->Seek(0));
    ARROW_ASSIGN_OR_RAISE(const auto stream, arrow::ipc::RecordBatchStreamReader::Open(file, options));
    batches = stream;
    schema = restricted(stream->schema());
    return check_columns();
  }

  Status check_columns() const {
    if (schema->num_fields() <= limits.columns) return Status::OK();
    return Status::OutOfMemory(schema->num_fields(), " columns, at most ", limits.columns);
  }

  // The part of the file's schema that is selected. The first call has nothing selected and sees the whole.
  std::shared_ptr<arrow::Schema> restricted(const std::shared_ptr<arrow::Schema>& reported) {
    if (ipc_whole == nullptr) ipc_whole = reported;
    if (ipc_columns.empty()) return ipc_whole;
    arrow::FieldVector fields;
    for (const int column : ipc_columns) fields.push_back(ipc_whole->field(column));
    return arrow::schema(std::move(fields), ipc_whole->metadata());
  }

  // Where a name is unknown, `missing` is set to it and nothing has changed.
  Status select(const char* const* names, size_t count, const char** missing) {
    if (count == 0) return Status::UnknownError("no column was named");
    std::vector<int> chosen;
    for (size_t i = 0; i < count; ++i) {
      if (format == CARROW_FORMAT_PARQUET) {
        if (!add_leaves(parquet->manifest().schema_fields, names[i], chosen)) *missing = names[i];
      } else {
        const auto fields = ipc_whole->GetAllFieldIndices(names[i]);
        if (fields.empty()) {
          *missing = names[i];
        } else {
          chosen.push_back(fields.front());
        }
      }
      if (*missing != nullptr) return Status::OK();
    }
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    (format == CARROW_FORMAT_PARQUET ? leaves : ipc_columns) = std::move(chosen);
    current = nullptr;
    current_used = 0;
    position = 0;
    ipc_next = 0;
    switch (format) {
      case CARROW_FORMAT_PARQUET:
        return start_parquet(0);
      case CARROW_FORMAT_IPC_FILE:
        return open_ipc_file();
      default:
        return open_ipc_stream();
    }
  }

  // Decodes the next batch that has rows into `current`, which is null at the end.
  Status load() {
    do {
      current = nullptr;
      current_used = 0;
      if (format == CARROW_FORMAT_PARQUET) {
        ARROW_RETURN_NOT_OK(load_parquet());
        if (current == nullptr) return Status::OK();
      } else if (format == CARROW_FORMAT_IPC_FILE) {
        if (ipc_next >= ipc->num_record_batches()) return Status::OK();
        ARROW_ASSIGN_OR_RAISE(current, ipc->ReadRecordBatch(ipc_next));
        ++ipc_next;
      } else {
        ARROW_RETURN_NOT_OK(batches->ReadNext(&current));
        if (current == nullptr) return Status::OK();
      }
    } while (current->num_rows() == 0);
    text_is_utf8 = true;
    Status valid = current->ValidateFull();
    if (!valid.ok()) {
      // A single value that is not UTF-8 must not cost the others: whoever reads the text finds it.
      text_is_utf8 = false;
      valid = validate_without_text(*current);
    }
    if (!valid.ok()) current = nullptr;
    return valid;
  }

  // Decodes the next batch of a Parquet file from row `position` on, in fewer rows where the memory does not suffice: what
  // values take is known only when they are decoded, because a dictionary may name a long one any number of times.
  Status load_parquet() {
    Status status = caught([&] { return batches->ReadNext(&current); });
    while (status.IsOutOfMemory() && decode_rows > 1) {
      most_rows = std::max<int64_t>(decode_rows / kFewerRows, 1);
      status = caught([&] { return read_again(); });
    }
    return status;
  }

  // Starts anew and comes back to row `position`, with the batch that it lies in.
  Status read_again() {
    current = nullptr;
    batches = nullptr;
    int64_t first = 0;
    int group = 0;
    const int groups = parquet->num_row_groups();
    while (group < groups && first + rows_of_group(group) <= position) first += rows_of_group(group++);
    ARROW_RETURN_NOT_OK(start_parquet(group));
    while (true) {
      current = nullptr;
      ARROW_RETURN_NOT_OK(batches->ReadNext(&current));
      if (current == nullptr) return Status::OK();
      if (first + current->num_rows() > position) {
        current_used = position - first;
        return Status::OK();
      }
      first += current->num_rows();
    }
  }

  // The bytes that `rows` rows of `current` hold, from the first unused one on. A dictionary is not counted, as it does
  // not become smaller with fewer rows; neither are types that Arrow cannot tell it of.
  int64_t bytes_of(int64_t rows) const {
    int64_t bytes = 0;
    for (const auto& column : current->columns()) {
      if (column->type_id() == arrow::Type::DICTIONARY) continue;
      bytes += arrow::util::ReferencedBufferSize(*column->Slice(current_used, rows)).ValueOr(0);
    }
    return bytes;
  }

  Status next(int64_t max_rows, int64_t max_bytes, ArrowArray* out) {
    if (buffered() == 0) ARROW_RETURN_NOT_OK(load());
    if (current == nullptr) return Status::OK();
    int64_t rows = std::min(max_rows, buffered());
    while (rows > 1 && bytes_of(rows) > max_bytes) rows /= 2;
    const auto part = rows == current->num_rows() ? current : current->Slice(current_used, rows);
    current_used += rows;
    position += rows;
    // The exported array keeps the buffers alive; holding the batch as well would hold two of them in memory.
    if (buffered() == 0) current = nullptr;
    return arrow::ExportRecordBatch(*part, out);
  }

  Status skip(int64_t rows, int64_t* skipped) {
    const int64_t start = position;
    const int64_t target = rows > INT64_MAX - position ? INT64_MAX : position + rows;
    drop_buffered(target - position);
    if (position < target && format == CARROW_FORMAT_PARQUET) ARROW_RETURN_NOT_OK(skip_row_groups(target));
    if (position < target && format == CARROW_FORMAT_IPC_FILE) ARROW_RETURN_NOT_OK(skip_record_batches(target));
    while (position < target) {
      ARROW_RETURN_NOT_OK(load());
      if (current == nullptr) break;
      drop_buffered(target - position);
    }
    *skipped = position - start;
    return Status::OK();
  }

  void drop_buffered(int64_t rows) {
    const int64_t dropped = std::min(rows, buffered());
    current_used += dropped;
    position += dropped;
    if (buffered() == 0) current = nullptr;
  }

  // Called with nothing buffered. Starts again at the row group that holds row `target`, unless we are in it already.
  Status skip_row_groups(int64_t target) {
    int64_t first = 0;
    int group = 0;
    const int groups = parquet->num_row_groups();
    while (group < groups && first + rows_of_group(group) <= target) first += rows_of_group(group++);
    if (first <= position) return Status::OK();
    ARROW_RETURN_NOT_OK(start_parquet(group));
    position = first;
    return Status::OK();
  }

  // Called with nothing buffered, so `ipc_next` is the batch that holds row `position`.
  Status skip_record_batches(int64_t target) {
    ARROW_RETURN_NOT_OK(count_record_batches());
    while (ipc_next < ipc->num_record_batches()) {
      const int64_t rows = ipc_batch_rows[static_cast<size_t>(ipc_next)];
      if (rows > target - position) break;
      position += rows;
      ++ipc_next;
    }
    return Status::OK();
  }

  // Arrow tells the rows of a single batch only by reading it; reading its narrowest column is the cheapest way.
  Status count_record_batches() {
    if (!ipc_batch_rows.empty() || ipc->num_record_batches() == 0) return Status::OK();
    auto options = ipc_options(pool.get());
    int narrowest = 0;
    int best = INT32_MAX;
    for (int i = 0; i < ipc_whole->num_fields(); ++i) {
      const auto& type = *ipc_whole->field(i)->type();
      const int width = type.num_fields() == 0 && arrow::is_fixed_width(type.id()) ? type.bit_width() : INT32_MAX - 1;
      if (width < best) {
        best = width;
        narrowest = i;
      }
    }
    if (ipc_whole->num_fields() > 0) options.included_fields = {narrowest};
    ARROW_ASSIGN_OR_RAISE(const auto counter, arrow::ipc::RecordBatchFileReader::Open(file, options));
    std::vector<int64_t> counts;
    for (int i = 0; i < counter->num_record_batches(); ++i) {
      ARROW_ASSIGN_OR_RAISE(const auto batch, counter->ReadRecordBatch(i));
      if (batch->num_rows() < 0) return Status::Invalid("a negative number of rows");
      counts.push_back(batch->num_rows());
    }
    ipc_batch_rows = std::move(counts);
    return Status::OK();
  }
};

const char* carrow_error_message(const CArrowError* error) { return error->message; }

CArrowCode carrow_reader_open(const char* path, const CArrowLimits* limits, CArrowReader** out, CArrowError* error) {
  *out = nullptr;
  return carrow::guarded(error, [&]() -> Status {
    if (limits->batch_rows < 1) return Status::UnknownError("batch_rows must be 1 or more");
    if (limits->batch_bytes < 1) return Status::UnknownError("batch_bytes must be 1 or more");
    if (limits->least_memory < 1 || limits->least_memory > limits->most_memory) {
      return Status::UnknownError("the bounds of memory are not in order");
    }
    auto reader = std::make_unique<CArrowReader>(*limits);
    ARROW_RETURN_NOT_OK(reader->open(path));
    *out = reader.release();
    return Status::OK();
  });
}

CArrowFormat carrow_reader_format(const CArrowReader* reader) { return reader->format; }

int64_t carrow_reader_row_count(const CArrowReader* reader) { return reader->row_count; }

int carrow_reader_text_is_utf8(const CArrowReader* reader) { return reader->text_is_utf8 ? 1 : 0; }

CArrowCode carrow_reader_schema(const CArrowReader* reader, ArrowSchema* out, CArrowError* error) {
  *out = ArrowSchema{};
  return carrow::guarded(error, [&] { return arrow::ExportSchema(*reader->schema, out); });
}

CArrowCode carrow_reader_select(CArrowReader* reader, const char* const* names, size_t count, CArrowError* error) {
  // A code of its own and not a status: Arrow uses its KeyError for damaged files as well.
  const char* missing = nullptr;
  const CArrowCode code = carrow::guarded(error, [&] { return reader->select(names, count, &missing); });
  if (missing == nullptr) return code;
  return carrow::set_error(error, CARROW_NO_SUCH_COLUMN, 0, missing);
}

CArrowCode carrow_reader_next(CArrowReader* reader, int64_t max_rows, int64_t max_bytes, ArrowArray* out,
                              CArrowError* error) {
  *out = ArrowArray{};
  return carrow::guarded(error, [&]() -> Status {
    if (max_rows < 1) return Status::UnknownError("max_rows must be 1 or more");
    if (max_bytes < 1) return Status::UnknownError("max_bytes must be 1 or more");
    return reader->next(max_rows, max_bytes, out);
  });
}

CArrowCode carrow_reader_skip(CArrowReader* reader, int64_t rows, int64_t* skipped, CArrowError* error) {
  *skipped = 0;
  return carrow::guarded(error, [&]() -> Status {
    if (rows < 0) return Status::UnknownError("rows must not be negative");
    return reader->skip(rows, skipped);
  });
}

void carrow_reader_close(CArrowReader* reader) { delete reader; }
