// Writing one batch: as an Arrow IPC file, as a Parquet file, or as an Arrow IPC stream in memory; and decoding the last.
//
// Invariants: a file that is reported as written is on the disk (fsync) and closed without error; after a failure no
// half-written regular file stays behind. Input structs are consumed on every path.

// First, because it says what to do where Arrow is missing.
#include "Shared.h"

#include <arrow/buffer.h>
#include <arrow/c/bridge.h>
#include <arrow/io/buffered.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table.h>
#include <arrow/util/compression.h>
#include <arrow/util/key_value_metadata.h>
#include <fcntl.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

using arrow::Result;
using arrow::Status;

namespace {

// Arrow writes a batch in many small pieces (metadata, padding); this gathers them into few system calls.
constexpr int64_t kWriteBuffer = int64_t{256} << 10;

// Releases what the caller handed over unless Arrow has taken it, which clears `release`.
struct Consumed {
  ArrowSchema* schema;
  ArrowArray* batch;
  ~Consumed() {
    if (schema->release != nullptr) schema->release(schema);
    if (batch->release != nullptr) batch->release(batch);
  }
};

Result<std::shared_ptr<arrow::RecordBatch>> import_batch(ArrowSchema* schema, ArrowArray* batch,
                                                         const CArrowWriteOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto imported, arrow::ImportRecordBatch(batch, schema));
  if (options.metadata_count == 0) return imported;
  auto metadata = std::make_shared<arrow::KeyValueMetadata>();
  for (size_t i = 0; i < options.metadata_count; ++i) {
    metadata->Append(options.metadata_keys[i], options.metadata_values[i]);
  }
  return imported->ReplaceSchemaMetadata(metadata);
}

Result<arrow::ipc::IpcWriteOptions> ipc_options(const CArrowWriteOptions& options) {
  auto result = arrow::ipc::IpcWriteOptions::Defaults();
  result.memory_pool = carrow::pool();
  result.use_threads = false;
  if (options.codec == CARROW_CODEC_LZ4) {
    ARROW_ASSIGN_OR_RAISE(result.codec, arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME));
  } else if (options.codec == CARROW_CODEC_ZSTD) {
    ARROW_ASSIGN_OR_RAISE(result.codec, arrow::util::Codec::Create(arrow::Compression::ZSTD, options.level));
  }
  return result;
}

// A file being written. Until `finish` has succeeded, destruction closes and removes it.
class NewFile {
 public:
  explicit NewFile(const char* path) : path_(path) {}
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  ~NewFile() {
    if (descriptor_ < 0) return;
    if (sink_ != nullptr) (void)sink_->Abort();
    // A device or a pipe given as the path is not ours to remove.
    struct stat status {};
    if (fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) unlink(path_);
    close(descriptor_);
  }

  Result<std::shared_ptr<arrow::io::OutputStream>> open() {
    descriptor_ = ::open(path_, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ < 0) return arrow::internal::IOErrorFromErrno(errno, "open");
    // Arrow closes its descriptor itself; ours stays open for the sync that comes after the last flush.
    const int duplicate = fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0) return arrow::internal::IOErrorFromErrno(errno, "fcntl");
    ARROW_ASSIGN_OR_RAISE(const auto raw, arrow::io::FileOutputStream::Open(duplicate));
    ARROW_ASSIGN_OR_RAISE(sink_, arrow::io::BufferedOutputStream::Create(kWriteBuffer, carrow::pool(), raw));
    return sink_;
  }

  Status finish() {
    ARROW_RETURN_NOT_OK(sink_->Close());
    // Devices and pipes have nothing to sync and say EINVAL; to the caller the bytes have arrived.
    if (fsync(descriptor_) != 0 && errno != EINVAL) return arrow::internal::IOErrorFromErrno(errno, "fsync");
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (close(descriptor) != 0) return arrow::internal::IOErrorFromErrno(errno, "close");
    return Status::OK();
  }

 private:
  const char* path_;
  int descriptor_ = -1;
  std::shared_ptr<arrow::io::OutputStream> sink_;
};

// Rows of a record batch in a file. A reader decodes whole record batches: one that wants few rows of a file waits for few more.
constexpr int64_t kFileBatchRows = 8192;

Status write_ipc(const std::shared_ptr<arrow::RecordBatch>& batch, arrow::io::OutputStream* sink,
                 const CArrowWriteOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const auto write_options, ipc_options(options));
  ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeFileWriter(sink, batch->schema(), write_options));
  int64_t first = 0;
  do {
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch->Slice(first, kFileBatchRows)));
    first += kFileBatchRows;
  } while (first < batch->num_rows());
  return writer->Close();
}

Status write_parquet(const std::shared_ptr<arrow::RecordBatch>& batch,
                     const std::shared_ptr<arrow::io::OutputStream>& sink, const CArrowWriteOptions& options) {
  parquet::WriterProperties::Builder properties;
  properties.memory_pool(carrow::pool());
  if (options.codec == CARROW_CODEC_LZ4) {
    properties.compression(parquet::Compression::LZ4);
  } else if (options.codec == CARROW_CODEC_ZSTD) {
    properties.compression(parquet::Compression::ZSTD)->compression_level(options.level);
  }
  parquet::ArrowWriterProperties::Builder arrow_properties;
  arrow_properties.set_use_threads(false)->store_schema();
  ARROW_ASSIGN_OR_RAISE(const auto table, arrow::Table::FromRecordBatches(batch->schema(), {batch}));
  // One row group: the caller's batches are bounded, and readers skip by row group.
  return parquet::arrow::WriteTable(*table, carrow::pool(), sink, std::max<int64_t>(1, batch->num_rows()),
                                    properties.build(), arrow_properties.build());
}

// Writes a batch to a new file, which stays only where `write` has succeeded.
template <typename Write>
CArrowCode write_new_file(const char* path, ArrowSchema* schema, ArrowArray* batch, const CArrowWriteOptions* options,
                          CArrowError* error, Write write) {
  const Consumed consumed{schema, batch};
  return carrow::guarded(error, [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const auto imported, import_batch(schema, batch, *options));
    NewFile file(path);
    ARROW_ASSIGN_OR_RAISE(const auto sink, file.open());
    ARROW_RETURN_NOT_OK(write(imported, sink));
    return file.finish();
  });
}

}  // namespace

CArrowCode carrow_write_file(const char* path, ArrowSchema* schema, ArrowArray* batch,
                             const CArrowWriteOptions* options, CArrowError* error) {
  return write_new_file(path, schema, batch, options, error, [&](const auto& imported, const auto& sink) {
    return write_ipc(imported, sink.get(), *options);
  });
}

CArrowCode carrow_write_parquet(const char* path, ArrowSchema* schema, ArrowArray* batch,
                                const CArrowWriteOptions* options, CArrowError* error) {
  return write_new_file(path, schema, batch, options, error, [&](const auto& imported, const auto& sink) {
    return write_parquet(imported, sink, *options);
  });
}

CArrowCode carrow_encode(ArrowSchema* schema, ArrowArray* batch, const CArrowWriteOptions* options, CArrowBytes* out,
                         CArrowError* error) {
  *out = CArrowBytes{};
  const Consumed consumed{schema, batch};
  return carrow::guarded(error, [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const auto imported, import_batch(schema, batch, *options));
    ARROW_ASSIGN_OR_RAISE(const auto write_options, ipc_options(*options));
    ARROW_ASSIGN_OR_RAISE(const auto sink, arrow::io::BufferOutputStream::Create(int64_t{64} << 10, carrow::pool()));
    ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeStreamWriter(sink, imported->schema(), write_options));
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*imported));
    ARROW_RETURN_NOT_OK(writer->Close());
    ARROW_ASSIGN_OR_RAISE(auto buffer, sink->Finish());
    auto owner = std::make_unique<std::shared_ptr<arrow::Buffer>>(std::move(buffer));
    out->data = (*owner)->data();
    out->count = static_cast<size_t>((*owner)->size());
    out->owner = owner.release();
    return Status::OK();
  });
}

void carrow_bytes_free(CArrowBytes* bytes) {
  delete static_cast<std::shared_ptr<arrow::Buffer>*>(bytes->owner);
  *bytes = CArrowBytes{};
}

CArrowCode carrow_decode(const void* data, size_t count, ArrowSchema* out_schema, ArrowArray* out_batch,
                         CArrowError* error) {
  *out_schema = ArrowSchema{};
  *out_batch = ArrowArray{};
  return carrow::guarded(error, [&]() -> Status {
    // What is not compressed is decoded in place, so the decoded batch must own its bytes.
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> copy,
                          arrow::AllocateBuffer(static_cast<int64_t>(count), carrow::pool()));
    if (count > 0) std::memcpy(copy->mutable_data(), data, count);
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.memory_pool = carrow::pool();
    options.use_threads = false;
    options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
    ARROW_ASSIGN_OR_RAISE(const auto reader, arrow::ipc::RecordBatchStreamReader::Open(
                                                 std::make_shared<arrow::io::BufferReader>(copy), options));
    std::shared_ptr<arrow::RecordBatch> batch;
    std::shared_ptr<arrow::RecordBatch> more;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) return Status::Invalid("expected one batch, found none");
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    ARROW_RETURN_NOT_OK(reader->ReadNext(&more));
    if (more != nullptr) return Status::Invalid("expected one batch, found more");
    return arrow::ExportRecordBatch(*batch, out_batch, out_schema);
  });
}
