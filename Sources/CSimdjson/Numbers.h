// Decimal text to int64 and double. Integers and the doubles of everyday data (mantissa up to 2^53, power of ten up to
// 22) are exact in one operation (Clinger, "How to read floating point numbers accurately", PLDI 1990); the rest goes to
// std::from_chars, which rounds to nearest.
#ifndef CSIMDJSON_NUMBERS_H
#define CSIMDJSON_NUMBERS_H

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "CSimdjson.h"

namespace csimdjson {

struct Number {
  uint8_t tag;
  uint64_t payload;
};

inline uint64_t location(size_t start, size_t length) { return uint64_t(start) | uint64_t(length) << 32; }

inline bool isDigit(uint8_t byte) { return uint8_t(byte - '0') < 10; }

/// The double nearest to the validated number at `text ..< end`, by the general algorithm. `magnitude` is its decimal
/// order, which tells an overflow from an underflow. Returns false where it overflows.
inline bool generalDouble(const uint8_t* text, const uint8_t* end, int64_t magnitude, double& value) {
  const bool negative = *text == '-';
  if (*text == '+') text++;
  const auto result =
      std::from_chars(reinterpret_cast<const char*>(text), reinterpret_cast<const char*>(end), value);
  if (result.ec == std::errc::result_out_of_range || std::isinf(value)) {
    if (magnitude > 0) return false;
    value = negative ? -0.0 : 0.0;
  }
  return true;
}

/// The number at `text ..< end` whose digits start at `digits`, where one operation is not enough.
inline Number generalNumber(
    const uint8_t* text, const uint8_t* digits, const uint8_t* end, size_t integerDigits,
    int64_t exponent, uint64_t mantissa, bool integral) {
  const bool negative = *text == '-';
  const uint8_t* const point = digits + integerDigits;
  const uint8_t* first = digits;  // the first digit that is not 0
  while (first < end && (*first == '0' || *first == '.')) first++;
  if (first == end || !isDigit(*first)) {
    if (integral && !negative) return {CSIMDJSON_INT, 0};
    return {CSIMDJSON_DOUBLE, std::bit_cast<uint64_t>(negative ? -0.0 : 0.0)};
  }
  if (integral) {
    const uint64_t bound = uint64_t(1) << 63;
    if (point - first <= 19 && (mantissa < bound || (negative && mantissa == bound))) {
      return {CSIMDJSON_INT, negative ? 0 - mantissa : mantissa};
    }
  }
  const int64_t magnitude = exponent + (first < point ? int64_t(point - first) : -int64_t(first - point - 1));
  double value = 0;
  if (!generalDouble(text, end, magnitude, value)) return {CSIMDJSON_HUGE, 0};
  return {uint8_t(integral ? CSIMDJSON_BIG_INT : CSIMDJSON_DOUBLE), std::bit_cast<uint64_t>(value)};
}

/// Parses the number that starts at `text`, reading no byte at or beyond `limit`. `next` is where it ends. With `lenient`
/// also what people write in text: a plus sign, leading zeros, no digit on one side of the point. Payloads of HUGE are
/// not set. Returns false where there is no number.
template <bool lenient>
inline bool parseNumber(const uint8_t* text, const uint8_t* limit, const uint8_t*& next, Number& number) {
  static constexpr double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const uint8_t* p = text;
  const bool negative = p < limit && *p == '-';
  if (negative || (lenient && p < limit && *p == '+')) p++;
  const uint8_t* const digits = p;
  uint64_t mantissa = 0;  // exact up to 19 significant digits, then it wraps and is not used
  while (p < limit && isDigit(*p)) mantissa = mantissa * 10 + (*p++ - '0');
  const size_t integerDigits = size_t(p - digits);
  if constexpr (!lenient) {
    if (integerDigits == 0 || (*digits == '0' && integerDigits > 1)) return false;
  }
  const bool integral = p == limit || (*p != '.' && (*p | 0x20) != 'e');
  if (integral && integerDigits <= 18 && integerDigits > 0) {
    next = p;
    if (negative && mantissa == 0) {
      number = {CSIMDJSON_DOUBLE, std::bit_cast<uint64_t>(-0.0)};
    } else {
      number = {CSIMDJSON_INT, negative ? 0 - mantissa : mantissa};
    }
    return true;
  }

  size_t fractionDigits = 0;
  if (p < limit && *p == '.') {
    const uint8_t* const fraction = ++p;
    while (p < limit && isDigit(*p)) mantissa = mantissa * 10 + (*p++ - '0');
    fractionDigits = size_t(p - fraction);
    if (!lenient && fractionDigits == 0) return false;
  }
  if (integerDigits + fractionDigits == 0) return false;
  int64_t exponent = 0;
  if (p < limit && (*p | 0x20) == 'e') {
    p++;
    const bool down = p < limit && *p == '-';
    if (p < limit && (*p == '-' || *p == '+')) p++;
    if (p == limit || !isDigit(*p)) return false;
    while (p < limit && isDigit(*p)) {
      if (exponent < 100'000'000) exponent = exponent * 10 + (*p - '0');
      p++;
    }
    if (down) exponent = -exponent;
  }
  next = p;

  const int64_t power = exponent - int64_t(fractionDigits);
  if (!integral && integerDigits + fractionDigits <= 19 && mantissa <= (uint64_t(1) << 53) && power >= -22 &&
      power <= 22) {
    const double value = power < 0 ? double(mantissa) / powers[-power] : double(mantissa) * powers[power];
    number = {CSIMDJSON_DOUBLE, std::bit_cast<uint64_t>(negative ? -value : value)};
    return true;
  }
  number = generalNumber(text, digits, p, integerDigits, exponent, mantissa, integral);
  return true;
}

}  // namespace csimdjson
#endif
