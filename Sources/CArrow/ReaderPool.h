// The memory of one reader, with a bound. What Arrow and Parquet allocate for a file (pages before they are decompressed,
// decoded values, buffers of messages) comes from here, so that a length field cannot ask for more than the bound,
// whatever the file says of itself.
#ifndef CARROW_READER_POOL_H
#define CARROW_READER_POOL_H

#include <arrow/memory_pool.h>
#include <arrow/status.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace carrow {

// Exported arrays outlive their reader: the pool lives until the reader has closed it and the last of them is freed.
// Allocations may be freed on any thread; the limit is set by the reader's thread.
class ReaderPool final : public arrow::MemoryPool {
 public:
  ReaderPool(arrow::MemoryPool* base, int64_t limit) : base_(base), limit_(limit) {}

  void set_limit(int64_t limit) { limit_.store(limit, std::memory_order_relaxed); }

  // The reader needs it no longer.
  void close() { drop_reference(); }

  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    ARROW_RETURN_NOT_OK(reserve(size));
    const arrow::Status status = base_->Allocate(size, alignment, out);
    if (!status.ok()) {
      used_.fetch_sub(size);
      return status;
    }
    references_.fetch_add(1);
    return status;
  }

  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t** pointer) override {
    const int64_t more = new_size - old_size;
    if (more > 0) ARROW_RETURN_NOT_OK(reserve(more));
    const arrow::Status status = base_->Reallocate(old_size, new_size, alignment, pointer);
    if (status.ok() ? more < 0 : more > 0) used_.fetch_sub(status.ok() ? -more : more);
    return status;
  }

  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override {
    base_->Free(buffer, size, alignment);
    used_.fetch_sub(size);
    drop_reference();
  }

  int64_t bytes_allocated() const override { return used_.load(); }
  int64_t max_memory() const override { return peak_.load(); }
  int64_t total_bytes_allocated() const override { return base_->total_bytes_allocated(); }
  int64_t num_allocations() const override { return base_->num_allocations(); }
  std::string backend_name() const override { return base_->backend_name(); }

 private:
  ~ReaderPool() override = default;

  arrow::Status reserve(int64_t size) {
    const int64_t limit = limit_.load(std::memory_order_relaxed);
    const int64_t used = used_.fetch_add(size) + size;
    if (size < 0 || used > limit) {
      used_.fetch_sub(size);
      return arrow::Status::OutOfMemory("more than ", limit >> 20, " MiB at once");
    }
    int64_t peak = peak_.load();
    while (used > peak && !peak_.compare_exchange_weak(peak, used)) {
    }
    return arrow::Status::OK();
  }

  // Counts the reader and each allocation.
  void drop_reference() {
    if (references_.fetch_sub(1) == 1) delete this;
  }

  arrow::MemoryPool* const base_;
  std::atomic<int64_t> limit_;
  std::atomic<int64_t> used_{0};
  std::atomic<int64_t> peak_{0};
  std::atomic<int64_t> references_{1};
};

// Owns a pool for as long as its reader.
class ReaderPoolHandle {
 public:
  ReaderPoolHandle(arrow::MemoryPool* base, int64_t limit) : pool_(new ReaderPool(base, limit)) {}
  ReaderPoolHandle(const ReaderPoolHandle&) = delete;
  ReaderPoolHandle& operator=(const ReaderPoolHandle&) = delete;
  ~ReaderPoolHandle() { pool_->close(); }

  ReaderPool* get() const { return pool_; }
  ReaderPool* operator->() const { return pool_; }

 private:
  ReaderPool* const pool_;
};

}  // namespace carrow

#endif  // CARROW_READER_POOL_H
