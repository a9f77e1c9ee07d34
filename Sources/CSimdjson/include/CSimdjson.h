// JSON events for Swift: one call turns a batch of records into tagged cells, one per record and declared path.
//
// simdjson (simdjson.org; Langdale and Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 28, 2019) finds the
// structure of the text and validates its UTF-8 with the widest instructions of the machine; this shim walks that
// structure by the schema. Invariants:
// - No call throws, ends the process or reads outside the buffer, whatever the records hold.
// - A record is accepted only if the whole of it is one JSON object (RFC 8259), the parts no field asks for included.
// - What a record gives depends on its own bytes alone, never on its neighbours or on what the parser saw before.
// - A parser is used by one thread at a time.
#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Readable bytes that must follow the end of every record.
#define CSIMDJSON_PADDING 64

/// What a cell holds, and so what its payload means.
enum {
  /// The path is not in the record. Payload 0.
  CSIMDJSON_MISSING = 0,
  /// JSON null. Payload 0.
  CSIMDJSON_NULL = 1,
  /// An integer in the range of int64. Payload: its bits.
  CSIMDJSON_INT = 2,
  /// A number with a fraction or an exponent, or `-0`. Payload: the bits of the nearest double.
  CSIMDJSON_DOUBLE = 3,
  /// An integer beyond int64. Payload: the bits of the nearest double.
  CSIMDJSON_BIG_INT = 4,
  /// A number beyond the range of double. Payload: where its text lies, as for a string.
  CSIMDJSON_HUGE = 5,
  CSIMDJSON_FALSE = 6,
  CSIMDJSON_TRUE = 7,
  /// A string without escapes. Payload: start in the buffer in the low 32 bits, length in the high 32 bits.
  CSIMDJSON_STRING = 8,
  /// A string that had escapes. Payload: start in the arena and length, likewise.
  CSIMDJSON_UNESCAPED = 9,
  /// Payload: where the text lies in the buffer.
  CSIMDJSON_OBJECT = 10,
  CSIMDJSON_ARRAY = 11,
  /// The path leads through a value that is not an object. Payload: where that value's text lies in the buffer.
  CSIMDJSON_NOT_NESTED = 12,
  /// The text of any value but null, for a raw path. Payload: where it lies in the buffer.
  CSIMDJSON_RAW = 13,
  /// Text that was to be JSON and is not. Payload: where it lay, as for the string it was.
  CSIMDJSON_NOT_JSON = 14,
};

/// Why a record was refused.
enum {
  CSIMDJSON_TOO_LARGE = 1,
  CSIMDJSON_INVALID_UTF8 = 2,
  /// Nothing but white space.
  CSIMDJSON_EMPTY = 3,
  /// A valid JSON value, but no object.
  CSIMDJSON_NOT_AN_OBJECT = 4,
  CSIMDJSON_TOO_DEEP = 5,
  /// A key on a declared path occurs twice in its object; `length` bytes at `offset` are the key as written.
  CSIMDJSON_DUPLICATE_KEY = 6,
  /// A key that leads to no declared path; `length` bytes at `offset` are the key as written.
  CSIMDJSON_UNKNOWN_KEY = 7,
  // What follows is malformed JSON.
  CSIMDJSON_ENDS_EARLY = 8,
  CSIMDJSON_UNEXPECTED = 9,
  CSIMDJSON_TRAILING = 10,
  CSIMDJSON_BAD_LITERAL = 11,
  CSIMDJSON_BAD_NUMBER = 12,
  /// An escape that JSON does not have, or a surrogate without its other half.
  CSIMDJSON_BAD_ESCAPE = 13,
  /// A control character inside a string, or a string without end.
  CSIMDJSON_BAD_STRING = 14,
};

/// One refused record.
typedef struct {
  /// Index of the record in the batch.
  uint32_t record;
  uint32_t code;
  /// Byte of the buffer where it went wrong.
  uint32_t offset;
  uint32_t length;
} CSimdjsonFailure;

typedef struct CSimdjsonParser CSimdjsonParser;

/// A parser without paths, or NULL where memory ran out. A record beyond `max_record_bytes` or nested deeper than
/// `max_depth` (1 to 64; the outermost object counts 1) is refused; so is one with an undeclared key if
/// `reject_unknown`. Undeclared keys inside a raw subtree are not looked at.
CSimdjsonParser* csimdjson_create(size_t max_record_bytes, uint32_t max_depth, int reject_unknown);

/// Adds a path, keys from the outside in (`count` of them, 1 or more, UTF-8). A raw path keeps its value as text. Returns
/// the index of the path's cells, 0 for the first one; -1 where memory ran out or the same path was added before.
int csimdjson_add_path(
    CSimdjsonParser* parser, const uint8_t* const* keys, const size_t* lengths, size_t count, int raw);

/// Parses the records `starts[i] ..< ends[i]` of `bytes`. Accepted records become rows 0, 1, …: the cell of path p in
/// row r is `tags[p * stride + r]` and `payloads[p * stride + r]`, and `records[r]` is the record's index. `seen[p]` has
/// bit t set if a cell of p has tag t (it may have more). All are the caller's: `stride >= count` cells a path, `count`
/// records, one `seen` per path. Returns the number of rows; -1 where memory ran out; -2 where a record lies outside the
/// buffer or lacks its padding. What the arena and the failures hold is replaced.
ptrdiff_t csimdjson_parse(
    CSimdjsonParser* parser, const uint8_t* bytes, size_t byte_count, const uint32_t* starts, const uint32_t* ends,
    size_t count, uint8_t* tags, uint64_t* payloads, size_t stride, uint32_t* records, uint32_t* seen);

/// The refused records of the last parse, ascending; valid until the next one.
const CSimdjsonFailure* csimdjson_failures(const CSimdjsonParser* parser, size_t* count);

/// The text of unescaped strings of the last parse, and 64 bytes of padding that `count` leaves out; valid until the next
/// parse.
const uint8_t* csimdjson_arena(const CSimdjsonParser* parser, size_t* count);

/// Reads numbers out of text: every STRING cell (text in `bytes`) and UNESCAPED cell (text in `arena`) that holds a
/// decimal number becomes an INT, DOUBLE, BIG_INT or HUGE cell; the others stay. Accepted are white space around it, a
/// sign, leading zeros, `.5`, `5.` and an exponent; not NaN, infinity or hexadecimal. `seen` is brought up to date.
void csimdjson_read_numbers(
    const uint8_t* bytes, const uint8_t* arena, uint8_t* tags, uint64_t* payloads, size_t count, uint32_t* seen);

/// Checks text that is to be JSON: a STRING or UNESCAPED cell that holds no valid value becomes NOT_JSON, one that holds
/// `null` NULL; the others stay. `seen` is brought up to date. Returns 0, or -1 where memory ran out.
int csimdjson_check_json(
    CSimdjsonParser* parser, const uint8_t* bytes, const uint8_t* arena, uint8_t* tags, uint64_t* payloads,
    size_t count, uint32_t* seen);

/// Whether the bytes are UTF-8.
int csimdjson_is_utf8(const uint8_t* bytes, size_t count);

void csimdjson_destroy(CSimdjsonParser* parser);

#ifdef __cplusplus
}
#endif
#endif
