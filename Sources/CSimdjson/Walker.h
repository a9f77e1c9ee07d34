// One record after another, from structural positions to cells.
//
// simdjson's first stage gives the position of every bracket, comma and colon and of the first byte of every string and
// scalar. So a token reaches from its position to the next one, less white space; what is between can be nothing else.
// Invariant: `next` never passes the sentinel behind the last position, because no token at or beyond `end`, the end of
// the record, is ever consumed.
#ifndef CSIMDJSON_WALKER_H
#define CSIMDJSON_WALKER_H

#include "CSimdjson.h"
#include "Numbers.h"
#include "Paths.h"

namespace csimdjson {

inline bool isSpace(uint8_t byte) { return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t'; }

/// The cells of one path.
struct Cells {
  uint8_t* tags;
  uint64_t* payloads;
  uint32_t seen;
};

struct Walker {
  const uint8_t* const text;
  const size_t readable;
  Cells* const cells;
  std::vector<uint8_t>& arena;
  std::string& scratch;
  const uint32_t maxDepth;
  const bool rejectUnknown;

  // The record at hand.
  const uint32_t* next = nullptr;
  uint32_t end = 0;
  size_t row = 0;
  uint32_t stamp = 0;
  /// Paths that have a cell other than MISSING in this row.
  size_t filled = 0;
  /// Where the next backslash lies, at or after the last position asked for; `none` where there is no more.
  uint32_t backslash = 0;
  uint32_t backslashLimit = 0;
  CSimdjsonFailure failure{};

  bool fail(uint32_t code, uint32_t offset, uint32_t length = 0) {
    failure.code = code;
    failure.offset = offset;
    failure.length = length;
    return false;
  }

  /// Walks the record of which `next` is the first position. False where it is refused.
  bool record(Node& root, uint32_t start) {
    if (*next >= end) return fail(CSIMDJSON_EMPTY, start);
    const uint32_t at = *next;
    if (text[at] != '{') {
      uint32_t stop;
      if (!skip(at, 0, stop)) return false;
      return fail(*next < end ? CSIMDJSON_TRAILING : CSIMDJSON_NOT_AN_OBJECT, *next < end ? *next : at);
    }
    next++;
    uint32_t stop;
    if (!object(root, at, 1, stop)) return false;
    if (*next < end) return fail(CSIMDJSON_TRAILING, *next);
    return true;
  }

  // ---- Tokens ----

  bool early() { return fail(CSIMDJSON_ENDS_EARLY, end); }

  /// The next token must be `byte`.
  inline bool take(uint8_t byte, uint32_t& at) {
    at = *next;
    if (at >= end) return early();
    if (text[at] != byte) return fail(CSIMDJSON_UNEXPECTED, at);
    next++;
    return true;
  }

  /// End of the scalar whose position was consumed last.
  inline uint32_t tokenEnd() const {
    uint32_t stop = *next < end ? *next : end;
    while (isSpace(text[stop - 1])) stop--;
    return stop;
  }

  /// Whether a backslash lies in `start ..< stop`; both ascend from call to call, but for a step back to a key's start.
  inline bool hasBackslash(uint32_t start, uint32_t stop) {
    if (backslash >= stop) return false;
    return findBackslash(start) < stop;
  }

  uint32_t findBackslash(uint32_t start) {
    if (backslash < start) {
      const void* found = start < backslashLimit ? std::memchr(text + start, '\\', backslashLimit - start) : nullptr;
      backslash = found ? uint32_t(static_cast<const uint8_t*>(found) - text) : none;
    }
    return backslash;
  }

  // ---- Objects that paths lead through ----

  /// The members of the object at `at`, whose bracket was consumed. `stop` is its end.
  bool object(Node& node, uint32_t at, uint32_t depth, uint32_t& stop) {
    if (depth > maxDepth) return fail(CSIMDJSON_TOO_DEEP, at);
    uint32_t position = *next;
    if (position >= end) return early();
    if (text[position] == '}') {
      next++;
      stop = position + 1;
      return true;
    }
    uint32_t previous = none;
    for (;;) {
      if (!take('"', position)) return false;
      uint32_t index = previous == none ? node.first : node.entries[previous].next;
      const uint8_t* const key = text + position + 1;
      if (!(index < node.entries.size() && node.entries[index].matches(key, readable - position - 1))) {
        if (!lookUp(node, position, index, previous)) return false;
      }
      uint32_t colon;
      if (!take(':', colon)) return false;
      const uint32_t start = *next;
      if (start >= end) return early();
      next++;
      if (index == none) {
        next--;
        if (!skip(start, depth, stop)) return false;
      } else {
        Entry& entry = node.entries[index];
        if (entry.declared) {
          if (entry.stamp == stamp) return fail(CSIMDJSON_DUPLICATE_KEY, position + 1, colon - position - 1);
          entry.stamp = stamp;
          if (!value(entry, start, depth)) return false;
        } else {
          next--;
          if (!skip(start, depth, stop)) return false;
        }
        previous = index;
      }
      position = *next;
      if (position >= end) return early();
      next++;
      if (text[position] == ',') continue;
      if (text[position] != '}') return fail(CSIMDJSON_UNEXPECTED, position);
      stop = position + 1;
      return true;
    }
  }

  /// Finds the key at `position` that is not the expected one; `index` is `none` where it is to be ignored.
  __attribute__((noinline)) bool lookUp(Node& node, uint32_t position, uint32_t& index, uint32_t previous) {
    // An optional key may be missing: then the one after it comes.
    if (index < node.entries.size()) {
      const uint32_t after = node.entries[index].next;
      if (after < node.entries.size() && node.entries[after].matches(text + position + 1, readable - position - 1)) {
        index = after;
        return true;
      }
    }
    if (*next >= end) return early();
    const uint32_t stop = tokenEnd() - 1;
    const uint32_t length = stop - position - 1;
    std::string_view key(reinterpret_cast<const char*>(text + position + 1), length);
    const bool escaped = hasBackslash(position + 1, stop);
    if (escaped) {
      const size_t mark = arena.size();
      if (!unescape(position + 1, stop)) return false;
      scratch.assign(reinterpret_cast<const char*>(arena.data() + mark), arena.size() - mark);
      arena.resize(mark);
      key = scratch;
    }
    index = node.find(key);
    if (rejectUnknown && (index == none || !node.entries[index].declared)) {
      return fail(CSIMDJSON_UNKNOWN_KEY, position + 1, length);
    }
    if (index == none && !escaped) index = node.learn(key);
    if (index != none) (previous == none ? node.first : node.entries[previous].next) = index;
    return true;
  }

  // ---- Values of declared keys ----

  inline void set(uint32_t path, uint8_t tag, uint64_t payload) {
    Cells& cell = cells[path];
    cell.tags[row] = tag;
    cell.payloads[row] = payload;
    cell.seen |= uint32_t(1) << tag;
    filled++;
  }

  /// The value at `at`, whose position was consumed, into the cells of the entry.
  inline bool value(Entry& entry, uint32_t at, uint32_t depth) {
    if (entry.path != none && entry.rawPath == none && entry.child == nullptr && text[at] != '{' && text[at] != '[') {
      Number cell;
      uint32_t stop;
      if (!scalar(at, cell, stop)) return false;
      set(entry.path, cell.tag, cell.payload);
      return true;
    }
    return compound(entry, at, depth);
  }

  __attribute__((noinline)) bool compound(Entry& entry, uint32_t at, uint32_t depth) {
    uint32_t stop;
    Number cell;
    const uint8_t byte = text[at];
    if (byte == '{' && entry.child != nullptr) {
      if (!object(*entry.child, at, depth + 1, stop)) return false;
      cell = {CSIMDJSON_OBJECT, location(at, stop - at)};
    } else if (byte == '{' || byte == '[') {
      next--;
      if (!skip(at, depth, stop)) return false;
      cell = {uint8_t(byte == '{' ? CSIMDJSON_OBJECT : CSIMDJSON_ARRAY), location(at, stop - at)};
    } else if (!scalar(at, cell, stop)) {
      return false;
    }
    if (entry.path != none) set(entry.path, cell.tag, cell.payload);
    const bool null = cell.tag == CSIMDJSON_NULL;
    const uint64_t place = null ? 0 : location(at, stop - at);
    if (entry.rawPath != none) set(entry.rawPath, null ? CSIMDJSON_NULL : CSIMDJSON_RAW, place);
    if (entry.child != nullptr && byte != '{' && !null) markNotNested(*entry.child, place);
    return true;
  }

  void markNotNested(const Node& node, uint64_t place) {
    for (const Entry& entry : node.entries) {
      if (entry.path != none) set(entry.path, CSIMDJSON_NOT_NESTED, place);
      if (entry.rawPath != none) set(entry.rawPath, CSIMDJSON_NOT_NESTED, place);
      if (entry.child != nullptr) markNotNested(*entry.child, place);
    }
  }

  /// The string, number or literal at `at`, whose position was consumed.
  inline bool scalar(uint32_t at, Number& cell, uint32_t& stop) {
    const uint8_t byte = text[at];
    stop = tokenEnd();
    if (byte == '"') {
      if (stop - at < 2 || text[stop - 1] != '"') return fail(CSIMDJSON_BAD_STRING, at);
      if (hasBackslash(at + 1, stop - 1)) [[unlikely]] {
        const size_t mark = arena.size();
        if (!unescape(at + 1, stop - 1)) return false;
        cell = {CSIMDJSON_UNESCAPED, location(mark, arena.size() - mark)};
        return true;
      }
      cell = {CSIMDJSON_STRING, location(at + 1, stop - at - 2)};
      return true;
    }
    if (isDigit(byte) || byte == '-') {
      const uint8_t* after;
      if (!parseNumber<false>(text + at, text + stop, after, cell)) return fail(CSIMDJSON_BAD_NUMBER, at);
      if (after != text + stop) return fail(CSIMDJSON_BAD_NUMBER, uint32_t(after - text));
      if (cell.tag == CSIMDJSON_HUGE) cell.payload = location(at, stop - at);
      return true;
    }
    const uint32_t length = stop - at;
    if (length == 4 && std::memcmp(text + at, "null", 4) == 0) {
      cell = {CSIMDJSON_NULL, 0};
    } else if (length == 4 && std::memcmp(text + at, "true", 4) == 0) {
      cell = {CSIMDJSON_TRUE, 1};
    } else if (length == 5 && std::memcmp(text + at, "false", 5) == 0) {
      cell = {CSIMDJSON_FALSE, 0};
    } else {
      const bool structural = byte == '}' || byte == ']' || byte == ',' || byte == ':';
      return fail(structural ? CSIMDJSON_UNEXPECTED : CSIMDJSON_BAD_LITERAL, at);
    }
    return true;
  }

  // ---- Values nobody asked for ----

  /// Checks the whole value at `at`, the next position, inside `depth` objects; `stop` is its end.
  bool skip(uint32_t at, uint32_t depth, uint32_t& stop) {
    const uint32_t outer = depth;
    uint64_t isObject = 0;  // bit d: whether the container at depth d + 1 is an object
    for (;;) {
      // A value starts at `at`.
      next++;
      const uint8_t byte = text[at];
      if (byte == '{' || byte == '[') {
        if (depth >= maxDepth) return fail(CSIMDJSON_TOO_DEEP, at);
        const uint64_t bit = uint64_t(1) << depth++;
        isObject = byte == '{' ? isObject | bit : isObject & ~bit;
        at = *next;
        if (at >= end) return early();
        if (text[at] != (byte == '{' ? '}' : ']')) {
          if (byte == '{' && !skipKey(at)) return false;
          continue;
        }
        next++;
        stop = at + 1;
        depth--;
      } else if (!checkScalar(at, stop)) {
        return false;
      }
      // A value has ended: what follows it?
      for (;;) {
        if (depth == outer) return true;
        at = *next;
        if (at >= end) return early();
        const bool inObject = isObject >> (depth - 1) & 1;
        next++;
        if (text[at] == ',') {
          at = *next;
          if (at >= end) return early();
          if (inObject && !skipKey(at)) return false;
          break;
        }
        if (text[at] != (inObject ? '}' : ']')) return fail(CSIMDJSON_UNEXPECTED, at);
        stop = at + 1;
        depth--;
      }
    }
  }

  /// Consumes the key at `at`, the next position, and its colon; `at` becomes the position of the value.
  bool skipKey(uint32_t& at) {
    if (text[at] != '"') return fail(CSIMDJSON_UNEXPECTED, at);
    next++;
    uint32_t stop;
    if (!checkScalar(at, stop)) return false;
    uint32_t colon;
    if (!take(':', colon)) return false;
    at = *next;
    return at < end || early();
  }

  bool checkScalar(uint32_t at, uint32_t& stop) {
    const size_t mark = arena.size();
    Number ignored;
    const bool valid = scalar(at, ignored, stop);
    arena.resize(mark);
    return valid;
  }

  // ---- Escapes ----

  static int hexDigit(uint8_t byte) {
    if (isDigit(byte)) return byte - '0';
    const uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  }

  /// The four hexadecimal digits at `at`, or -1.
  int32_t codeUnit(uint32_t at, uint32_t stop) const {
    if (stop - at < 4 || at > stop) return -1;
    int32_t unit = 0;
    for (uint32_t i = at; i < at + 4; i++) {
      const int digit = hexDigit(text[i]);
      if (digit < 0) return -1;
      unit = unit << 4 | digit;
    }
    return unit;
  }

  void append(uint32_t scalar) {
    if (scalar < 0x80) {
      arena.push_back(uint8_t(scalar));
    } else if (scalar < 0x800) {
      arena.push_back(uint8_t(0xC0 | scalar >> 6));
      arena.push_back(uint8_t(0x80 | (scalar & 0x3F)));
    } else if (scalar < 0x10000) {
      arena.push_back(uint8_t(0xE0 | scalar >> 12));
      arena.push_back(uint8_t(0x80 | (scalar >> 6 & 0x3F)));
      arena.push_back(uint8_t(0x80 | (scalar & 0x3F)));
    } else {
      arena.push_back(uint8_t(0xF0 | scalar >> 18));
      arena.push_back(uint8_t(0x80 | (scalar >> 12 & 0x3F)));
      arena.push_back(uint8_t(0x80 | (scalar >> 6 & 0x3F)));
      arena.push_back(uint8_t(0x80 | (scalar & 0x3F)));
    }
  }

  /// Appends the string `at ..< stop` to the arena with its escapes resolved.
  __attribute__((noinline)) bool unescape(uint32_t at, uint32_t stop) {
    while (at < stop) {
      const uint32_t escape = hasBackslash(at, stop) ? backslash : stop;
      arena.insert(arena.end(), text + at, text + escape);
      if (escape == stop) return true;
      if (escape + 1 >= stop) return fail(CSIMDJSON_BAD_ESCAPE, escape);
      at = escape + 2;
      switch (text[escape + 1]) {
        case '"': arena.push_back('"'); break;
        case '\\': arena.push_back('\\'); break;
        case '/': arena.push_back('/'); break;
        case 'b': arena.push_back('\b'); break;
        case 'f': arena.push_back('\f'); break;
        case 'n': arena.push_back('\n'); break;
        case 'r': arena.push_back('\r'); break;
        case 't': arena.push_back('\t'); break;
        case 'u': {
          const int32_t unit = codeUnit(at, stop);
          if (unit < 0 || (unit >= 0xDC00 && unit < 0xE000)) return fail(CSIMDJSON_BAD_ESCAPE, escape);
          at += 4;
          if (unit < 0xD800 || unit >= 0xE000) {
            append(uint32_t(unit));
            break;
          }
          const bool paired = stop - at >= 6 && text[at] == '\\' && text[at + 1] == 'u';
          const int32_t low = paired ? codeUnit(at + 2, stop) : -1;
          if (low < 0xDC00 || low >= 0xE000) return fail(CSIMDJSON_BAD_ESCAPE, escape);
          append(0x10000 + ((uint32_t(unit) & 0x3FF) << 10) + (uint32_t(low) & 0x3FF));
          at += 6;
          break;
        }
        default: return fail(CSIMDJSON_BAD_ESCAPE, escape);
      }
    }
    return true;
  }
};

}  // namespace csimdjson
#endif
