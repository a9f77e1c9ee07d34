#include "CCompression.h"

#include <bzlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

struct decompression {
  int kind;
  const char *problem;
  z_stream gzip;
  ZSTD_DStream *zstd;
  bz_stream bzip2;
};

static int fail(decompression *stream, const char *problem) {
  stream->problem = problem ? problem : "the data are damaged";
  return DECOMPRESSION_FAILED;
}

// 16 added to the window's bits: gzip with its header, and nothing else.
static int begin_gzip(decompression *stream) { return inflateInit2(&stream->gzip, 15 + 16) == Z_OK; }
static int begin_bzip2(decompression *stream) { return BZ2_bzDecompressInit(&stream->bzip2, 0, 0) == BZ_OK; }

decompression *decompression_open(int kind) {
  decompression *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  stream->kind = kind;
  int is_ready = 0;
  switch (kind) {
    case COMPRESSION_GZIP: is_ready = begin_gzip(stream); break;
    case COMPRESSION_ZSTD:
      stream->zstd = ZSTD_createDStream();
      is_ready = stream->zstd && !ZSTD_isError(ZSTD_initDStream(stream->zstd));
      break;
    case COMPRESSION_BZIP2: is_ready = begin_bzip2(stream); break;
  }
  if (is_ready) return stream;
  ZSTD_freeDStream(stream->zstd);
  free(stream);
  return NULL;
}

void decompression_close(decompression *stream) {
  if (!stream) return;
  switch (stream->kind) {
    case COMPRESSION_GZIP: inflateEnd(&stream->gzip); break;
    case COMPRESSION_ZSTD: ZSTD_freeDStream(stream->zstd); break;
    case COMPRESSION_BZIP2: BZ2_bzDecompressEnd(&stream->bzip2); break;
  }
  free(stream);
}

static unsigned bounded(size_t length) { return length > INT_MAX ? INT_MAX : (unsigned)length; }

static int step_gzip(decompression *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                     uint8_t *output, size_t output_length, size_t *produced) {
  z_stream *z = &stream->gzip;
  // zlib reads from it only; the field is not const unless ZLIB_CONST is defined.
  z->next_in = (Bytef *)(uintptr_t)input;
  z->avail_in = bounded(input_length);
  z->next_out = output;
  z->avail_out = bounded(output_length);
  unsigned given = z->avail_in, room = z->avail_out;
  int code = inflate(z, Z_NO_FLUSH);
  *consumed = given - z->avail_in;
  *produced = room - z->avail_out;
  if (code == Z_STREAM_END) {
    if (inflateReset(z) != Z_OK) return fail(stream, z->msg);
    return DECOMPRESSION_MEMBER_ENDED;
  }
  if (code == Z_MEM_ERROR) return fail(stream, "out of memory");
  // Z_BUF_ERROR: no progress was possible, which is for the caller to see.
  return code == Z_OK || code == Z_BUF_ERROR ? DECOMPRESSION_GOES_ON : fail(stream, z->msg);
}

static int step_zstd(decompression *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                     uint8_t *output, size_t output_length, size_t *produced) {
  ZSTD_inBuffer in = {input, input_length, 0};
  ZSTD_outBuffer out = {output, output_length, 0};
  size_t code = ZSTD_decompressStream(stream->zstd, &out, &in);
  *consumed = in.pos;
  *produced = out.pos;
  if (ZSTD_isError(code)) return fail(stream, ZSTD_getErrorName(code));
  return code == 0 ? DECOMPRESSION_MEMBER_ENDED : DECOMPRESSION_GOES_ON;
}

static const char *bzip2_problem(int code) {
  switch (code) {
    case BZ_DATA_ERROR: return "a checksum does not match, or the data are damaged";
    case BZ_DATA_ERROR_MAGIC: return "what follows is not bzip2";
    case BZ_MEM_ERROR: return "out of memory";
    default: return "the data are damaged";
  }
}

static int step_bzip2(decompression *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                      uint8_t *output, size_t output_length, size_t *produced) {
  bz_stream *bz = &stream->bzip2;
  bz->next_in = (char *)(uintptr_t)input;
  bz->avail_in = bounded(input_length);
  bz->next_out = (char *)output;
  bz->avail_out = bounded(output_length);
  unsigned given = bz->avail_in, room = bz->avail_out;
  int code = BZ2_bzDecompress(bz);
  *consumed = given - bz->avail_in;
  *produced = room - bz->avail_out;
  if (code == BZ_STREAM_END) {
    BZ2_bzDecompressEnd(bz);
    memset(bz, 0, sizeof *bz);
    if (!begin_bzip2(stream)) return fail(stream, "out of memory");
    return DECOMPRESSION_MEMBER_ENDED;
  }
  return code == BZ_OK ? DECOMPRESSION_GOES_ON : fail(stream, bzip2_problem(code));
}

int decompression_step(decompression *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                       uint8_t *output, size_t output_length, size_t *produced) {
  *consumed = *produced = 0;
  switch (stream->kind) {
    case COMPRESSION_GZIP: return step_gzip(stream, input, input_length, consumed, output, output_length, produced);
    case COMPRESSION_ZSTD: return step_zstd(stream, input, input_length, consumed, output, output_length, produced);
    default: return step_bzip2(stream, input, input_length, consumed, output, output_length, produced);
  }
}

const char *decompression_problem(const decompression *stream) {
  return stream->problem ? stream->problem : "no details";
}

// The header and trailer of gzip have 18 bytes, where deflateBound counts 6 for those of zlib.
size_t gzip_bound(size_t length) { return deflateBound(NULL, length) + 18; }

size_t gzip_pack(const uint8_t *input, size_t input_length, uint8_t *output, size_t output_length, int level) {
  if (input_length > INT_MAX || output_length > UINT_MAX) return 0;
  z_stream z;
  memset(&z, 0, sizeof z);
  if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
  z.next_in = (Bytef *)(uintptr_t)input;
  z.avail_in = (unsigned)input_length;
  z.next_out = output;
  z.avail_out = (unsigned)output_length;
  int code = deflate(&z, Z_FINISH);
  size_t length = code == Z_STREAM_END ? z.total_out : 0;
  deflateEnd(&z);
  return length;
}
