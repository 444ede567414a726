/* Device texts (MAC|disk|board|CPU): their parts and the normal form of a value. */
#include "internal.h"

#include <string.h>

const char *const LSV_PART_NAMES[4] = {"mac", "disk", "board", "cpu"};

bool lsv_split_device(const char *text, lsv_span parts[4]) {
    lsv_span rest = {text, strnlen(text, LICSRV_MAXIMUM_DEVICE_INFO + 1)};
    if (rest.length > LICSRV_MAXIMUM_DEVICE_INFO || !lsv_is_utf8(rest)) return false;
    for (int part = 0; part < 4; part++) {
        parts[part] = lsv_until(&rest, '|');
        if (part < 3 && !lsv_skip(&rest, "|")) return false;
    }
    return rest.length == 0;
}

/* Take the next value of a part; afterwards rest->data is NULL when it was the last. */
lsv_span lsv_next_value(int part, lsv_span *rest) {
    lsv_span value = *rest;
    if (part < 2) value = lsv_until(rest, ',');
    bool is_last = part >= 2 || !lsv_skip(rest, ",");
    if (is_last) *rest = (lsv_span){NULL, 0};
    return value;
}

/* A byte order mark comes along with texts that were read from a file. */
static bool is_dropped(uint32_t code_point) {
    return lsv_is_blank(code_point) || code_point == 0xFEFF;
}

/* Length without the blanks at both ends; `first` is where it begins. */
static lsv_span strip(lsv_span raw) {
    lsv_span rest = raw, before = raw;
    const char *first = NULL, *end = raw.data;
    uint32_t code_point;
    while (lsv_utf8_next(&rest, &code_point)) {
        if (!is_dropped(code_point)) {
            if (first == NULL) first = before.data;
            end = rest.data;
        }
        before = rest;
    }
    return first == NULL ? (lsv_span){raw.data, 0} : (lsv_span){first, (size_t)(end - first)};
}

static size_t upper_case(lsv_span value, char *out) {
    uint32_t code_point, upper[3];
    size_t length = 0;
    while (lsv_utf8_next(&value, &code_point)) {
        size_t count = lsv_upper(code_point, upper);
        for (size_t index = 0; index < count; index++) length += lsv_utf8_write(upper[index], out + length);
    }
    return length;
}

static bool is_mac_digit(char character) {
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'F');
}

/* Leave the 12 digits of a MAC; what has another number of digits, or other characters, stays as it is. */
static size_t without_separators(char *value, size_t length) {
    char digits[12];
    size_t count = 0;
    for (size_t index = 0; index < length; index++) {
        if (strchr(":-.", value[index]) != NULL && value[index] != '\0') continue;
        if (count == sizeof digits || !is_mac_digit(value[index])) return length;
        digits[count++] = value[index];
    }
    if (count != sizeof digits) return length;
    memcpy(value, digits, sizeof digits);
    return sizeof digits;
}

size_t lsv_normal_value(int part, lsv_span raw, char out[LSV_NORMAL_BYTES]) {
    size_t length = upper_case(strip(raw), out);
    if (part == 0) length = without_separators(out, length);
    return length;
}
