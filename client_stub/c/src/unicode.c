/* UTF-8, blanks and upper case, as Python's str.strip and str.upper see them: the server normalises with those. */
#include "internal.h"
#include "upper_table.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* How many bytes a character has by its first one, and the smallest code point that needs so many (no overlong ones). */
static size_t sequence_length(unsigned char lead, uint32_t *bits, uint32_t *smallest) {
    static const struct { unsigned char mask, lead; uint32_t smallest; } FORMS[] = {
        {0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t index = 0; index < COUNT(FORMS); index++) {
        if ((lead & FORMS[index].mask) != FORMS[index].lead) continue;
        *bits = lead & (unsigned char)~FORMS[index].mask;
        *smallest = FORMS[index].smallest;
        return index + 1;
    }
    return 0;
}

bool lsv_utf8_next(lsv_span *rest, uint32_t *code_point) {
    uint32_t smallest;
    if (rest->length == 0) return false;
    size_t length = sequence_length((unsigned char)rest->data[0], code_point, &smallest);
    if (length == 0 || length > rest->length) return false;
    for (size_t index = 1; index < length; index++) {
        unsigned char next = (unsigned char)rest->data[index];
        if ((next & 0xC0) != 0x80) return false;
        *code_point = *code_point << 6 | (next & 0x3F);
    }
    rest->data += length;
    rest->length -= length;
    return *code_point >= smallest && *code_point <= 0x10FFFF && (*code_point < 0xD800 || *code_point > 0xDFFF);
}

static char continuation(uint32_t code_point, int shift) {
    return (char)(0x80 | (code_point >> shift & 0x3F));
}

size_t lsv_utf8_write(uint32_t code_point, char *out) {
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const unsigned char LEADS[] = {0xC0, 0xE0, 0xF0};
    out[0] = (char)(LEADS[length - 2] | code_point >> (6 * (length - 1)));
    for (size_t index = 1; index < length; index++) out[index] = continuation(code_point, (int)(6 * (length - 1 - index)));
    return length;
}

bool lsv_is_utf8(lsv_span text) {
    uint32_t code_point;
    while (text.length > 0) {
        if (!lsv_utf8_next(&text, &code_point)) return false;
    }
    return true;
}

bool lsv_is_blank(uint32_t code_point) {
    static const struct { uint32_t first, last; } BLANKS[] = {
        {0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
        {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
    for (size_t index = 0; index < COUNT(BLANKS); index++) {
        if (code_point >= BLANKS[index].first && code_point <= BLANKS[index].last) return true;
    }
    return false;
}

static size_t upper_special(uint32_t code_point, uint32_t upper[3]) {
    for (size_t index = 0; index < COUNT(UPPER_SPECIALS); index++) {
        if (UPPER_SPECIALS[index].letter != code_point) continue;
        for (int at = 0; at < 3; at++) upper[at] = UPPER_SPECIALS[index].upper[at];
        return upper[2] == 0 ? 2 : 3;
    }
    return 0;
}

size_t lsv_upper(uint32_t code_point, uint32_t upper[3]) {
    upper[0] = code_point >= 'a' && code_point <= 'z' ? code_point - 'a' + 'A' : code_point;
    if (code_point < 0x80) return 1;
    for (size_t index = 0; index < COUNT(UPPER_RUNS); index++) {
        if (code_point < UPPER_RUNS[index].first || code_point > UPPER_RUNS[index].last) continue;
        if ((code_point - UPPER_RUNS[index].first) % UPPER_RUNS[index].stride != 0) continue;
        upper[0] = (uint32_t)((int64_t)code_point + UPPER_RUNS[index].delta);
        return 1;
    }
    size_t count = upper_special(code_point, upper);
    return count > 0 ? count : 1;
}
