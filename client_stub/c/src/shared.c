/* Which values identify a machine. Server and Python client have these rules on their own; the vectors bind them. */
#include "internal.h"
#include "shared_values.h"

#include <string.h>

#define MAC_DIGITS 12
#define FEWEST_DIGITS 3
#define FEWEST_AMONG_OTHERS 7
#define GROUP_BIT 1
#define LOCAL_BIT 2

static bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

static bool is_punctuation(char character) {
    return (character >= ' ' && character <= '/') || (character >= ':' && character <= '@') ||
           (character >= '[' && character <= '`') || (character >= '{' && character <= '~');
}

static bool is_mac(lsv_span value) {
    if (value.length != MAC_DIGITS) return false;
    for (size_t at = 0; at < value.length; at++) {
        if (!is_digit(value.data[at]) && (value.data[at] < 'A' || value.data[at] > 'F')) return false;
    }
    return true;
}

static int byte_of(lsv_span mac, size_t at) {
    int byte = 0;
    for (const char *digit = mac.data + 2 * at; digit < mac.data + 2 * at + 2; digit++) {
        byte = byte * 16 + (is_digit(*digit) ? *digit - '0' : *digit - 'A' + 10);
    }
    return byte;
}

static bool has_bit(lsv_span mac, int bit) {
    return (byte_of(mac, 0) & bit) != 0;
}

static bool begins_with(lsv_span value, const char *beginning) {
    size_t length = strlen(beginning);
    return value.length >= length && memcmp(value.data, beginning, length) == 0;
}

static bool contains(lsv_span value, const char *text) {
    for (; value.length > 0; value.data++, value.length--) {
        if (begins_with(value, text)) return true;
    }
    return false;
}

/* Each digit is the one before plus `step`; 9 is followed by 0. */
static bool has_step(lsv_span digits, int step) {
    for (size_t at = 1; at < digits.length; at++) {
        if (digits.data[at] - '0' != (digits.data[at - 1] - '0' + step) % 10) return false;
    }
    return true;
}

static bool counts_or_repeats(lsv_span text) {
    bool repeats = true, is_number = true;
    for (size_t at = 0; at < text.length; at++) {
        repeats = repeats && text.data[at] == text.data[0];
        is_number = is_number && is_digit(text.data[at]);
    }
    return repeats || (is_number && (has_step(text, 1) || has_step(text, 9)));
}

/* In a pattern, '#' is one or more digits. */
static bool fits(lsv_span value, const char *pattern) {
    for (; *pattern != '\0'; pattern++) {
        if (value.length == 0 || (*pattern == '#' ? !is_digit(*value.data) : *pattern != *value.data)) return false;
        do {
            value.data++, value.length--;
        } while (*pattern == '#' && value.length > 0 && is_digit(*value.data));
    }
    return value.length == 0;
}

/* Bytes that are one step apart: 00:11:22:33:44:55. */
static bool has_even_steps(lsv_span mac) {
    int step = byte_of(mac, 1) - byte_of(mac, 0);
    for (size_t at = 2; at < MAC_DIGITS / 2; at++) {
        if ((byte_of(mac, at) - byte_of(mac, at - 1) - step) % 256 != 0) return false;
    }
    return true;
}

static bool is_shared_mac(lsv_span mac) {
    for (size_t at = 0; at < sizeof LSV_SHARED_MACS / sizeof *LSV_SHARED_MACS; at++) {
        if (begins_with(mac, LSV_SHARED_MACS[at])) return true;
    }
    return has_bit(mac, GROUP_BIT) || counts_or_repeats(mac) || has_even_steps(mac);
}

static bool is_listed(lsv_span value) {
    for (size_t at = 0; at < sizeof LSV_SHARED_VALUES / sizeof *LSV_SHARED_VALUES; at++) {
        if (fits(value, LSV_SHARED_VALUES[at])) return true;
    }
    return value.length >= 4 && (begins_with(value, "NOT ") || contains(value, "O.E.M"));
}

/* The value without punctuation is one character, however often; characters outside ASCII have several bytes. */
static bool repeats_one_character(lsv_span bare) {
    uint32_t first, next;
    bool is_one = lsv_utf8_next(&bare, &first);
    while (is_one && lsv_utf8_next(&bare, &next)) is_one = next == first;
    return is_one;
}

static bool is_shared_text(lsv_span value) {
    char bare[LSV_NORMAL_BYTES], digits[LSV_NORMAL_BYTES];
    size_t length = 0, count = 0;
    for (size_t at = 0; at < value.length; at++) {
        if (!is_punctuation(value.data[at])) bare[length++] = value.data[at];
        if (is_digit(value.data[at])) digits[count++] = value.data[at];
    }
    size_t fewest = count == length ? FEWEST_DIGITS : FEWEST_AMONG_OTHERS;
    return count == 0 || repeats_one_character((lsv_span){bare, length}) ||
           (count >= fewest && counts_or_repeats((lsv_span){digits, count})) || is_listed(value);
}

bool lsv_is_shared(int part, lsv_span value) {
    return part == 0 && is_mac(value) ? is_shared_mac(value) : is_shared_text(value);
}

bool lsv_is_local(int part, lsv_span value) {
    return part == 0 && is_mac(value) && has_bit(value, LOCAL_BIT);
}

/* MACs that software made up count only where a part names no other. */
bool lsv_local_counts(int part, lsv_span raw) {
    char normal[LSV_NORMAL_BYTES];
    while (part == 0 && raw.data != NULL) {
        lsv_span value = {normal, lsv_normal_value(part, lsv_next_value(part, &raw), normal)};
        if (value.length > 0 && !lsv_is_shared(part, value) && !lsv_is_local(part, value)) return false;
    }
    return true;
}

bool lsv_is_telling(int part, lsv_span value, bool local_counts) {
    return value.length > 0 && !lsv_is_shared(part, value) && (local_counts || !lsv_is_local(part, value));
}
