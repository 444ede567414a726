/* base64 and base64url (RFC 4648) in one spelling only: no blanks, no spare bits, padding exactly where it belongs. */
#include "internal.h"

static const char URL_ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int digit_value(char character, const char *last_two) {
    if (character >= 'A' && character <= 'Z') return character - 'A';
    if (character >= 'a' && character <= 'z') return character - 'a' + 26;
    if (character >= '0' && character <= '9') return character - '0' + 52;
    if (character == last_two[0]) return 62;
    return character == last_two[1] ? 63 : -1;
}

/* Decode digits without padding; what is left over at the end must be fewer than six bits, all zero. */
static bool decode(lsv_span text, const char *last_two, unsigned char *out, size_t *length) {
    uint32_t bits = 0;
    unsigned int count = 0;
    *length = 0;
    for (size_t index = 0; index < text.length; index++) {
        int value = digit_value(text.data[index], last_two);
        if (value < 0) return false;
        bits = (bits << 6 | (uint32_t)value) & 0xFFF;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*length)++] = (unsigned char)(bits >> count);
        }
    }
    return count < 6 && (bits & ((1U << count) - 1)) == 0;
}

bool lsv_base64url_decode(lsv_span text, unsigned char *out, size_t *length) {
    return text.length > 0 && decode(text, "-_", out, length);
}

bool lsv_base64_decode(lsv_span text, unsigned char *out, size_t *length) {
    if (text.length == 0 || text.length % 4 != 0) return false;
    for (int padding = 0; padding < 2 && text.data[text.length - 1] == '='; padding++) text.length--;
    return decode(text, "+/", out, length);
}

void lsv_base64url_encode(const unsigned char *raw, size_t length, char *out) {
    uint32_t bits = 0;
    unsigned int count = 0;
    for (size_t index = 0; index < length; index++) {
        bits = bits << 8 | raw[index];
        for (count += 8; count >= 6; count -= 6) *out++ = URL_ALPHABET[bits >> (count - 6) & 0x3F];
    }
    if (count > 0) *out++ = URL_ALPHABET[bits << (6 - count) & 0x3F];
    *out = '\0';
}
