// The C face of the parser: paths, groups of records, and simdjson's first stage.
//
// Several records are given to the first stage at once, because a call has a cost of its own: runs of records separated
// by line ends, up to `groupBytes`. That is sound because the first stage refuses control characters in strings: a
// record with an unfinished string cannot swallow the line end behind it unnoticed. Where a group is refused, its halves
// are tried, down to the record that is to blame; and the next groups are smaller for a while, because where one record
// is broken others often are. How records are grouped changes nothing but the time it takes.
#include "CSimdjson.h"

#include <algorithm>
#include <new>
#include <simdjson.h>

#include "Walker.h"

using namespace csimdjson;

static_assert(CSIMDJSON_PADDING >= simdjson::SIMDJSON_PADDING);

namespace {

/// Text of a group: its positions (4 bytes for every 4 to 8 bytes of text) and itself stay in the second-level cache.
constexpr size_t groupBytes = 64 << 10;
/// Text of a group where records are often refused.
constexpr size_t leastGroupBytes = 2 << 10;

}  // namespace

struct CSimdjsonParser {
  size_t maxRecordBytes;
  uint32_t maxDepth;
  bool rejectUnknown;
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<Cells> cells;
  std::vector<uint8_t> arena;
  std::vector<CSimdjsonFailure> failures;
  std::string scratch;
  std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
  /// Number of the last record, to tell its keys from those of earlier ones.
  uint32_t stamp = 0;
  /// Text of the next group at most.
  size_t groupLimit = groupBytes;

  Node& root() { return *nodes[0]; }

  /// simdjson's first stage over `length` bytes: the structural positions, relative to `text`.
  simdjson::error_code index(const uint8_t* text, size_t length) {
    if (!stage || stage->capacity() < length) {
      const size_t capacity = std::max(length, groupBytes);
      stage.reset();
      const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1, stage);
      if (error) {
        stage.reset();
        throw std::bad_alloc();
      }
    }
    return stage->stage1(text, length, simdjson::stage1_mode::regular);
  }

  uint32_t newStamp() {
    if (++stamp == 0) {  // after 2^32 records: forget the old stamps
      for (auto& node : nodes) {
        for (Entry& entry : node->entries) entry.stamp = 0;
      }
      stamp = 1;
    }
    return stamp;
  }
};

namespace {

/// One call of `csimdjson_parse`.
struct Batch {
  CSimdjsonParser& parser;
  const uint8_t* bytes;
  size_t byteCount;
  const uint32_t* starts;
  const uint32_t* ends;
  size_t count;
  uint32_t* records;
  size_t row = 0;

  bool isTooLarge(size_t i) const { return ends[i] - starts[i] > parser.maxRecordBytes; }

  /// The end of the run of records from `first` that can be indexed together.
  size_t groupEnd(size_t first) const {
    size_t last = first + 1;
    while (last < count && ends[last] - starts[first] <= parser.groupLimit && !isTooLarge(last)) {
      if (starts[last] <= ends[last - 1] || starts[last] - ends[last - 1] > 64) break;
      bool separated = bytes[ends[last - 1]] == '\n' || bytes[ends[last - 1]] == '\r';
      for (size_t gap = ends[last - 1]; gap < starts[last]; gap++) separated = separated && isSpace(bytes[gap]);
      if (!separated) break;
      last++;
    }
    return last;
  }

  void refuse(size_t record, CSimdjsonFailure failure, size_t base) {
    failure.record = uint32_t(record);
    failure.offset += uint32_t(base);
    parser.failures.push_back(failure);
  }

  /// Walks records `first ..< last`, whose positions have just been found.
  void walk(size_t first, size_t last) {
    const size_t base = starts[first];
    // Locations in the group are relative to `base`; cells hold places in the buffer, so the text is the whole buffer
    // and the positions are moved once.
    uint32_t* const positions = parser.stage->structural_indexes.get();
    const size_t positionCount = parser.stage->n_structural_indexes;
    if (base != 0) {
      for (size_t i = 0; i < positionCount; i++) positions[i] += uint32_t(base);
    }
    positions[positionCount] = UINT32_MAX;
    Walker walker{
        bytes, byteCount, parser.cells.data(), parser.arena, parser.scratch, parser.maxDepth, parser.rejectUnknown};
    walker.next = positions;
    walker.backslashLimit = ends[last - 1];
    for (size_t i = first; i < last; i++) {
      while (*walker.next < starts[i]) walker.next++;
      walker.end = ends[i];
      walker.row = row;
      walker.stamp = parser.newStamp();
      walker.filled = 0;
      const size_t mark = parser.arena.size();
      if (walker.record(parser.root(), starts[i])) {
        if (walker.filled != parser.cells.size()) fillMissing();
        records[row++] = uint32_t(i);
      } else {
        parser.arena.resize(mark);
        for (Cells& cells : parser.cells) cells.tags[row] = CSIMDJSON_MISSING;
        refuse(i, walker.failure, 0);
      }
    }
  }

  void fillMissing() {
    for (Cells& cells : parser.cells) {
      if (cells.tags[row] != CSIMDJSON_MISSING) continue;
      cells.payloads[row] = 0;
      cells.seen |= 1 << CSIMDJSON_MISSING;
    }
  }

  /// A record by itself.
  void single(size_t i) {
    const uint8_t* const text = bytes + starts[i];
    const size_t length = ends[i] - starts[i];
    if (length > parser.maxRecordBytes) return refuse(i, {0, CSIMDJSON_TOO_LARGE, 0, 0}, starts[i]);
    const auto error = length == 0 ? simdjson::EMPTY : parser.index(text, length);
    switch (error) {
      case simdjson::SUCCESS: return walk(i, i + 1);
      case simdjson::EMPTY: return refuse(i, {0, CSIMDJSON_EMPTY, 0, 0}, starts[i]);
      case simdjson::MEMALLOC: throw std::bad_alloc();
      default: break;
    }
    const bool isText = simdjson::validate_utf8(reinterpret_cast<const char*>(text), length);
    refuse(i, {0, uint32_t(isText ? CSIMDJSON_BAD_STRING : CSIMDJSON_INVALID_UTF8), 0, 0}, starts[i]);
  }

  /// Records that can be indexed together: all at once, or else each half. Returns whether all at once.
  bool group(size_t first, size_t last) {
    if (last - first == 1) {
      single(first);
      return true;
    }
    if (parser.index(bytes + starts[first], ends[last - 1] - starts[first]) == simdjson::SUCCESS) {
      walk(first, last);
      return true;
    }
    const size_t middle = first + (last - first) / 2;
    group(first, middle);
    group(middle, last);
    return false;
  }

  void run() {
    for (size_t first = 0; first < count;) {
      const size_t last = isTooLarge(first) ? first + 1 : groupEnd(first);
      const bool isAccepted = group(first, last);
      parser.groupLimit = isAccepted ? std::min(groupBytes, parser.groupLimit * 2)
                                     : std::max(leastGroupBytes, parser.groupLimit / 4);
      first = last;
    }
  }
};

}  // namespace

CSimdjsonParser* csimdjson_create(size_t max_record_bytes, uint32_t max_depth, int reject_unknown) {
  try {
    auto parser = std::make_unique<CSimdjsonParser>();
    parser->maxRecordBytes = max_record_bytes;
    parser->maxDepth = std::clamp(max_depth, 1u, 64u);
    parser->rejectUnknown = reject_unknown != 0;
    parser->nodes.push_back(std::make_unique<Node>());
    return parser.release();
  } catch (...) {
    return nullptr;
  }
}

int csimdjson_add_path(
    CSimdjsonParser* parser, const uint8_t* const* keys, const size_t* lengths, size_t count, int raw) {
  try {
    Node* node = &parser->root();
    for (size_t i = 0; i < count; i++) {
      const std::string_view key(reinterpret_cast<const char*>(keys[i]), lengths[i]);
      uint32_t index = node->find(key);
      if (index == none) index = node->add(key);
      node->entries[index].declared = true;
      node->declaredCount = node->entries.size();
      if (i + 1 == count) {
        uint32_t& path = raw ? node->entries[index].rawPath : node->entries[index].path;
        if (path != none) return -1;
        path = uint32_t(parser->cells.size());
        parser->cells.push_back({nullptr, nullptr, 0});
        return int(path);
      }
      if (node->entries[index].child == nullptr) {
        parser->nodes.push_back(std::make_unique<Node>());
        node->entries[index].child = parser->nodes.back().get();
      }
      node = node->entries[index].child;
    }
    return -1;
  } catch (...) {
    return -1;
  }
}

ptrdiff_t csimdjson_parse(
    CSimdjsonParser* parser, const uint8_t* bytes, size_t byte_count, const uint32_t* starts, const uint32_t* ends,
    size_t count, uint8_t* tags, uint64_t* payloads, size_t stride, uint32_t* records, uint32_t* seen) {
  for (size_t i = 0; i < count; i++) {
    if (starts[i] > ends[i] || size_t(ends[i]) + CSIMDJSON_PADDING > byte_count) return -2;
  }
  try {
    parser->failures.clear();
    parser->arena.clear();
    for (size_t path = 0; path < parser->cells.size(); path++) {
      parser->cells[path] = {tags + path * stride, payloads + path * stride, 0};
      std::memset(tags + path * stride, CSIMDJSON_MISSING, count);
    }
    Batch batch{*parser, bytes, byte_count, starts, ends, count, records};
    batch.run();
    parser->arena.resize(parser->arena.size() + CSIMDJSON_PADDING);
    for (size_t path = 0; path < parser->cells.size(); path++) seen[path] = parser->cells[path].seen;
    return ptrdiff_t(batch.row);
  } catch (...) {
    return -1;
  }
}

const CSimdjsonFailure* csimdjson_failures(const CSimdjsonParser* parser, size_t* count) {
  *count = parser->failures.size();
  return parser->failures.data();
}

const uint8_t* csimdjson_arena(const CSimdjsonParser* parser, size_t* count) {
  *count = parser->arena.size() - std::min<size_t>(parser->arena.size(), CSIMDJSON_PADDING);
  return parser->arena.data();
}

void csimdjson_read_numbers(
    const uint8_t* bytes, const uint8_t* arena, uint8_t* tags, uint64_t* payloads, size_t count, uint32_t* seen) {
  uint32_t found = 0;
  for (size_t i = 0; i < count; i++) {
    if (tags[i] == CSIMDJSON_STRING || tags[i] == CSIMDJSON_UNESCAPED) {
      const uint8_t* p = (tags[i] == CSIMDJSON_STRING ? bytes : arena) + uint32_t(payloads[i]);
      const uint8_t* stop = p + (payloads[i] >> 32);
      while (p < stop && isSpace(*p)) p++;
      while (p < stop && isSpace(stop[-1])) stop--;
      const uint8_t* after;
      Number number;
      if (p < stop && parseNumber<true>(p, stop, after, number) && after == stop) {
        // The text of a number out of range may lie in the arena, which a HUGE cell cannot say: it says nothing.
        tags[i] = number.tag;
        payloads[i] = number.payload;
      }
    }
    found |= uint32_t(1) << tags[i];
  }
  *seen = found;
}

int csimdjson_check_json(
    CSimdjsonParser* parser, const uint8_t* bytes, const uint8_t* arena, uint8_t* tags, uint64_t* payloads,
    size_t count, uint32_t* seen) {
  try {
    uint32_t found = 0;
    std::vector<uint8_t> ignored;
    for (size_t i = 0; i < count; i++) {
      if (tags[i] == CSIMDJSON_STRING || tags[i] == CSIMDJSON_UNESCAPED) {
        const uint8_t* const text = (tags[i] == CSIMDJSON_STRING ? bytes : arena) + uint32_t(payloads[i]);
        const size_t length = size_t(payloads[i] >> 32);
        const auto error = length == 0 ? simdjson::EMPTY : parser->index(text, length);
        if (error == simdjson::MEMALLOC) throw std::bad_alloc();
        bool valid = error == simdjson::SUCCESS;
        if (valid) {
          uint32_t* const positions = parser->stage->structural_indexes.get();
          positions[parser->stage->n_structural_indexes] = UINT32_MAX;
          Walker walker{text, length, nullptr, ignored, parser->scratch, parser->maxDepth, false};
          walker.next = positions;
          walker.end = uint32_t(length);
          walker.backslashLimit = walker.end;
          uint32_t stop;
          valid = walker.skip(positions[0], 0, stop) && *walker.next >= walker.end;
          if (valid && text[positions[0]] == 'n') {
            tags[i] = CSIMDJSON_NULL;
            payloads[i] = 0;
          }
        }
        if (!valid) tags[i] = CSIMDJSON_NOT_JSON;
      }
      found |= uint32_t(1) << tags[i];
    }
    *seen = found;
    return 0;
  } catch (...) {
    return -1;
  }
}

int csimdjson_is_utf8(const uint8_t* bytes, size_t count) {
  return simdjson::validate_utf8(reinterpret_cast<const char*>(bytes), count);
}

void csimdjson_destroy(CSimdjsonParser* parser) { delete parser; }
