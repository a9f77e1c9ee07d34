// Compression for Swift. Unpacking: gzip by zlib, Zstandard by libzstd and bzip2 by libbz2 behind the same four functions.
//
// Invariants:
// - A stream belongs to one thread at a time; memory is bounded by the format's window (zlib 32 KiB, bzip2 4 MB,
//   Zstandard 128 MiB, beyond which a frame is refused), whatever the data claim to hold.
// - A file may hold several members (gzip), frames (Zstandard) or streams (bzip2), one behind another.
// - After a failure a stream is only to be closed.
#ifndef CCOMPRESSION_H
#define CCOMPRESSION_H

#include <stddef.h>
#include <stdint.h>

typedef struct decompression decompression;

enum { COMPRESSION_GZIP = 1, COMPRESSION_ZSTD = 2, COMPRESSION_BZIP2 = 3 };

// What a step came to.
enum {
  DECOMPRESSION_FAILED = -1,
  DECOMPRESSION_GOES_ON = 0,
  // Everything that was begun has ended: the input may end here.
  DECOMPRESSION_MEMBER_ENDED = 1
};

// A stream that has read nothing; NULL without memory.
decompression *decompression_open(int kind);
void decompression_close(decompression *stream);

// Takes some of the input and gives some of the output; says how much of each.
int decompression_step(decompression *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                       uint8_t *output, size_t output_length, size_t *produced);

// What was wrong with the data, in the library's words. Valid until the stream is closed.
const char *decompression_problem(const decompression *stream);

// Bytes that a gzip file of so many bytes has at most.
size_t gzip_bound(size_t length);

// Packs bytes into a gzip file, at a level from 1 (fast) to 9 (small); its length, or 0 without memory or room.
size_t gzip_pack(const uint8_t *input, size_t input_length, uint8_t *output, size_t output_length, int level);

#endif
