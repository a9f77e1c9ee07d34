// Columnar files for Swift: a C face of the Arrow and Parquet C++ libraries.
//
// Data crosses this border as the Arrow C Data Interface (structs `ArrowSchema` and `ArrowArray`, specified at
// arrow.apache.org/docs/format/CDataInterface.html), one call per batch. Invariants:
// - No call throws or ends the process on account of a file's content; what fails returns a code other than CARROW_OK
//   and fills the caller's CArrowError. Every batch that comes out has been validated in full: offsets are in range
//   and ascending, dictionary indices are in range, strings are UTF-8 (of a reader's batch only where
//   `carrow_reader_text_is_utf8` says so).
// - A struct written through an `out` parameter belongs to the caller, who calls its `release`. Arrays stay valid
//   after their reader is closed.
// - A struct passed in is consumed, whatever the outcome: its `release` has been called when the call returns.
// - No call starts a thread or hands work to a thread pool; a handle is used by one thread at a time.
#ifndef CARROW_H
#define CARROW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

#endif  // ARROW_C_DATA_INTERFACE

/// What went wrong; each calls for a different reaction.
typedef enum CArrowCode : int32_t {
  CARROW_OK = 0,
  /// The operating system refused: see `system_error`.
  CARROW_IO = 1,
  /// The bytes are not what their format says: truncated, damaged or of another format.
  CARROW_CORRUPT = 2,
  /// A column was asked for that the file does not have; the message is its name.
  CARROW_NO_SUCH_COLUMN = 3,
  /// Memory ran out, or the file asks for more than it may (`CArrowLimits`; in all 8 GiB in use at once).
  CARROW_MEMORY = 4,
  /// A valid file of a kind that is not supported: encrypted, Feather V1, an unknown codec or type.
  CARROW_UNSUPPORTED = 5,
  /// Anything else: a defect in the caller or in the library.
  CARROW_INTERNAL = 6,
} CArrowCode;

typedef struct CArrowError {
  CArrowCode code;
  /// `errno` where the operating system refused, else 0.
  int32_t system_error;
  /// UTF-8, ends with a zero byte, shortened if need be. Names no data of the file.
  char message[504];
} CArrowError;

/// The message of an error as a C string; lives as long as the error.
const char* carrow_error_message(const CArrowError* error);

// ---- Reading --------------------------------------------------------------------------------------------------------

typedef enum CArrowFormat : int32_t {
  CARROW_FORMAT_PARQUET = 0,
  /// The Arrow IPC file format, which is also Feather V2.
  CARROW_FORMAT_IPC_FILE = 1,
  CARROW_FORMAT_IPC_STREAM = 2,
} CArrowFormat;

typedef struct CArrowReader CArrowReader;

/// What a reader may take of the machine, whatever a file says of itself. All are 1 or more.
typedef struct CArrowLimits {
  /// Rows that are decoded at once, and their bytes as they are encoded, on average; where the format allows to choose
  /// (Parquet). The other formats are decoded in the batches they were written in.
  int64_t batch_rows;
  int64_t batch_bytes;
  /// Bytes in use at once: this many for each byte of the file, but at least and at most so many. An Arrow file, which can
  /// only be read by whole batches, may take twice its size in any case.
  int64_t memory_ratio;
  int64_t least_memory;
  int64_t most_memory;
  /// Bytes of a Parquet file's footer, which is decoded as a whole.
  int64_t footer_bytes;
  /// Columns of a file; of a Parquet file those of values, nested ones among them.
  int64_t columns;
} CArrowLimits;

/// Opens a file, telling its format by its first bytes.
CArrowCode carrow_reader_open(const char* path, const CArrowLimits* limits, CArrowReader** out, CArrowError* error);

CArrowFormat carrow_reader_format(const CArrowReader* reader);

/// Rows in the file, or -1 where that takes reading it (IPC stream).
int64_t carrow_reader_row_count(const CArrowReader* reader);

/// The columns that `carrow_reader_next` returns, as a struct, in the order of the file, with the file's metadata.
CArrowCode carrow_reader_schema(const CArrowReader* reader, struct ArrowSchema* out, CArrowError* error);

/// Restricts reading to these columns and starts again at the first row. A name is a top-level column, or in a Parquet
/// file also the dotted path of a nested field, in which case only that part of the struct is read.
CArrowCode carrow_reader_select(CArrowReader* reader, const char* const* names, size_t count, CArrowError* error);

/// The next rows, at most `max_rows` (1 or more) of them, as a struct array. At the end `out->release` is NULL. Fewer are
/// returned where their values, dictionaries apart, have more than `max_bytes` (1 or more); one row may have more.
CArrowCode carrow_reader_next(CArrowReader* reader, int64_t max_rows, int64_t max_bytes, struct ArrowArray* out,
                              CArrowError* error);

/// 1 if all text of what `carrow_reader_next` returned last is UTF-8; 0 if it has to be checked value by value.
int carrow_reader_text_is_utf8(const CArrowReader* reader);

/// Moves `rows` (0 or more) forward without returning them; whole row groups and record batches are not decoded.
/// `skipped` is how many there were, fewer only at the end of the file.
CArrowCode carrow_reader_skip(CArrowReader* reader, int64_t rows, int64_t* skipped, CArrowError* error);

void carrow_reader_close(CArrowReader* reader);

// ---- Writing --------------------------------------------------------------------------------------------------------

typedef enum CArrowCodec : int32_t {
  CARROW_CODEC_NONE = 0,
  CARROW_CODEC_LZ4 = 1,
  CARROW_CODEC_ZSTD = 2,
} CArrowCodec;

typedef struct CArrowWriteOptions {
  CArrowCodec codec;
  /// For ZSTD, 1 to 22; ignored by the other codecs.
  int32_t level;
  /// Schema metadata: `metadata_count` keys and values, UTF-8, each ending with a zero byte.
  const char* const* metadata_keys;
  const char* const* metadata_values;
  size_t metadata_count;
} CArrowWriteOptions;

/// Writes one batch as an Arrow IPC file, in record batches of 8,192 rows, and syncs it to the disk. An existing file is replaced in place; to replace
/// it atomically write under another name, then rename and sync the folder. After an error no regular file remains.
CArrowCode carrow_write_file(const char* path, struct ArrowSchema* schema, struct ArrowArray* batch,
                             const CArrowWriteOptions* options, CArrowError* error);

/// The same batch as a Parquet file (LZ4 is written as LZ4_RAW), for tools that read no Arrow IPC.
CArrowCode carrow_write_parquet(const char* path, struct ArrowSchema* schema, struct ArrowArray* batch,
                                const CArrowWriteOptions* options, CArrowError* error);

/// Bytes that belong to the library until `carrow_bytes_free`.
typedef struct CArrowBytes {
  const uint8_t* data;
  size_t count;
  void* owner;
} CArrowBytes;

void carrow_bytes_free(CArrowBytes* bytes);

/// Encodes one batch as an Arrow IPC stream in memory.
CArrowCode carrow_encode(struct ArrowSchema* schema, struct ArrowArray* batch, const CArrowWriteOptions* options,
                         CArrowBytes* out, CArrowError* error);

/// Decodes what `carrow_encode` wrote: a stream of exactly one batch. The bytes are copied, not kept.
CArrowCode carrow_decode(const void* data, size_t count, struct ArrowSchema* out_schema, struct ArrowArray* out_batch,
                         CArrowError* error);

#ifdef __cplusplus
}
#endif

#endif  // CARROW_H
