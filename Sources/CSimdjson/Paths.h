// The declared paths as a tree of objects and keys, with a memory of the order in which keys came last time.
//
// Records of one stream nearly always have the same keys in the same order, so finding a key is mostly one comparison
// with the key that followed last time. That memory, and the undeclared keys it learns, affect speed only.
#ifndef CSIMDJSON_PATHS_H
#define CSIMDJSON_PATHS_H

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace csimdjson {

constexpr uint32_t none = UINT32_MAX;
/// Undeclared keys an object remembers, and the longest one worth remembering.
constexpr size_t maxLearned = 64;
constexpr size_t maxLearnedLength = 64;

struct Node;

/// A key of an object. `words` are the key's bytes and the closing quote, as they stand in JSON.
struct Entry {
  std::string key;
  uint64_t firstWord = 0;
  uint64_t firstMask = 0;
  /// Bytes of the key and the closing quote; 0 where the key cannot be written without escapes.
  size_t quotedLength = 0;
  /// Path whose value this is, and the raw path; `none` where there is none.
  uint32_t path = none;
  uint32_t rawPath = none;
  /// The object below, where paths lead further.
  Node* child = nullptr;
  /// The key that followed last time.
  uint32_t next = 0;
  /// Number of the last record that had the key, to notice duplicates.
  uint32_t stamp = 0;
  bool declared = false;

  explicit Entry(std::string_view name) : key(name) {
    bool plain = true;
    for (const char c : name) plain = plain && uint8_t(c) >= 0x20 && c != '"' && c != '\\';
    if (!plain) return;
    quotedLength = name.size() + 1;
    uint8_t bytes[8] = {}, mask[8] = {};
    for (size_t i = 0; i < quotedLength && i < 8; i++) {
      bytes[i] = i < name.size() ? uint8_t(name[i]) : uint8_t('"');
      mask[i] = 0xFF;
    }
    std::memcpy(&firstWord, bytes, 8);
    std::memcpy(&firstMask, mask, 8);
  }

  /// Whether the key stands at `text`, of which at least 8 bytes, and `available` bytes, can be read.
  inline bool matches(const uint8_t* text, size_t available) const {
    uint64_t word;
    std::memcpy(&word, text, 8);
    if (((word ^ firstWord) & firstMask) != 0 || quotedLength == 0) return false;
    if (quotedLength <= 8) return true;
    return quotedLength <= available && text[quotedLength - 1] == '"' &&
           std::memcmp(text + 8, key.data() + 8, quotedLength - 9) == 0;
  }
};

/// The keys of one object.
struct Node {
  std::vector<Entry> entries;
  /// Open addressing over `entries`, a power of two, at most half full.
  std::vector<uint32_t> table;
  size_t declaredCount = 0;
  /// The key that came first last time.
  uint32_t first = 0;

  static uint64_t hash(std::string_view key) {
    uint64_t value = 0xcbf29ce484222325 ^ key.size();
    for (const char c : key) value = (value ^ uint8_t(c)) * 0x100000001b3;
    return value ^ (value >> 29);
  }

  uint32_t find(std::string_view key) const {
    if (table.empty()) return none;
    for (size_t slot = hash(key) & (table.size() - 1);; slot = (slot + 1) & (table.size() - 1)) {
      if (table[slot] == none) return none;
      if (entries[table[slot]].key == key) return table[slot];
    }
  }

  uint32_t add(std::string_view key) {
    const uint32_t index = uint32_t(entries.size());
    entries.emplace_back(key);
    if (index > 0) entries[index - 1].next = index;
    if ((entries.size() + 1) * 2 > table.size()) {
      table.assign(table.empty() ? 16 : table.size() * 2, none);
      for (uint32_t i = 0; i < index; i++) place(i);
    }
    place(index);
    return index;
  }

  /// Remembers an undeclared key, if there is room.
  uint32_t learn(std::string_view key) {
    if (entries.size() >= declaredCount + maxLearned || key.size() > maxLearnedLength) return none;
    const uint32_t following = entries.empty() ? 0 : entries.back().next;
    const uint32_t index = add(key);
    if (index > 0) entries[index - 1].next = following;
    return index;
  }

 private:
  void place(uint32_t index) {
    size_t slot = hash(entries[index].key) & (table.size() - 1);
    while (table[slot] != none) slot = (slot + 1) & (table.size() - 1);
    table[slot] = index;
  }
};

}  // namespace csimdjson
#endif
