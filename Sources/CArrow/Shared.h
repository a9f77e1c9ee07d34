// What reader and writer share: the memory pool, and the translation of everything that can go wrong into a
// CArrowError, so that no C++ exception reaches Swift.
#ifndef CARROW_SHARED_H
#define CARROW_SHARED_H

#if !__has_include(<arrow/api.h>)
#error "Arrow's headers were not found. Run `make setup`, then build with `make build`, which sets PKG_CONFIG_PATH."
#endif

#include <arrow/memory_pool.h>
#include <arrow/status.h>
#include <arrow/util/io_util.h>
#include <parquet/exception.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "CArrow.h"

namespace carrow {

// A length field of a damaged file can ask for any amount of memory; this is far above what a batch takes and far
// below what would bring a machine down. One pool for the process, never destroyed: arrays outlive their readers.
// The system's allocator rather than Arrow's own choice: what Arrow frees, Swift can use (66 MB instead of 80 MB
// resident after reading 240,000 rows of 18 columns, at the same speed).
constexpr int64_t kMemoryLimit = int64_t{8} << 30;

inline arrow::MemoryPool* pool() {
  static auto* const capped = new arrow::CappedMemoryPool(arrow::system_memory_pool(), kMemoryLimit);
  return capped;
}

inline CArrowCode set_error(CArrowError* error, CArrowCode code, int system_error, const char* message) noexcept {
  if (error != nullptr) {
    error->code = code;
    error->system_error = system_error;
    std::strncpy(error->message, message, sizeof(error->message) - 1);
    error->message[sizeof(error->message) - 1] = '\0';
  }
  return code;
}

inline CArrowCode set_error(CArrowError* error, const arrow::Status& status) {
  if (const int system_error = arrow::internal::ErrnoFromStatus(status); system_error != 0) {
    const auto code = system_error == ENOMEM ? CARROW_MEMORY : CARROW_IO;
    // Arrow's own text may name neither the cause nor the file; the caller adds the file.
    return set_error(error, code, system_error, std::strerror(system_error));
  }
  CArrowCode code = CARROW_INTERNAL;
  switch (status.code()) {
    case arrow::StatusCode::OutOfMemory:
      code = CARROW_MEMORY;
      break;
    // Arrow reports a file that ends too early as an I/O error without an errno.
    case arrow::StatusCode::IOError:
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::SerializationError:
    case arrow::StatusCode::IndexError:
    case arrow::StatusCode::KeyError:
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::CapacityError:
      code = CARROW_CORRUPT;
      break;
    case arrow::StatusCode::NotImplemented:
      code = CARROW_UNSUPPORTED;
      break;
    default:
      break;
  }
  return set_error(error, code, 0, status.message().c_str());
}

// Runs `body`, which returns an arrow::Status, and turns its status or exception into a code and a CArrowError.
template <typename Body>
CArrowCode guarded(CArrowError* error, Body&& body) noexcept {
  try {
    const arrow::Status status = std::forward<Body>(body)();
    if (!status.ok()) return set_error(error, status);
    if (error != nullptr) *error = CArrowError{};
    return CARROW_OK;
  } catch (const parquet::ParquetStatusException& exception) {
    return set_error(error, exception.status());
  } catch (const parquet::ParquetException& exception) {
    return set_error(error, CARROW_CORRUPT, 0, exception.what());
  } catch (const std::bad_alloc&) {
    return set_error(error, CARROW_MEMORY, ENOMEM, "out of memory");
  } catch (const std::exception& exception) {
    // The libraries throw standard exceptions only on sizes that make no sense (std::length_error).
    return set_error(error, CARROW_CORRUPT, 0, exception.what());
  } catch (...) {
    return set_error(error, CARROW_INTERNAL, 0, "unknown C++ exception");
  }
}

}  // namespace carrow

#endif  // CARROW_SHARED_H
