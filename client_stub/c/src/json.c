/* See json.h. Written from RFC 8259, one function per rule of its grammar. */
#include "internal.h"

#include <string.h>

#define MAXIMUM_DEPTH 32

/* The place in the text; `depth` is how many objects and lists are open. */
typedef struct reader {
    lsv_json *json;
    uint32_t at;
    int depth;
} reader;

static bool read_value(reader *in);

static int peek(const reader *in) {
    return in->at < in->json->length ? (unsigned char)in->json->text[in->at] : -1;
}

static bool skip(reader *in, char expected) {
    if (peek(in) != expected) return false;
    in->at++;
    return true;
}

static void skip_blanks(reader *in) {
    while (peek(in) == ' ' || peek(in) == '\t' || peek(in) == '\n' || peek(in) == '\r') in->at++;
}

static bool open_node(reader *in, lsv_type type, uint32_t *index) {
    lsv_json *json = in->json;
    if (json->count == json->capacity) return false;
    *index = json->count++;
    json->nodes[*index] = (lsv_node){.start = in->at, .length = 0, .next = json->count, .type = (uint32_t)type};
    return true;
}

static bool read_word(reader *in, const char *word, lsv_type type) {
    uint32_t index;
    size_t length = strlen(word);
    if (in->json->length - in->at < length || memcmp(in->json->text + in->at, word, length) != 0) return false;
    if (!open_node(in, type, &index)) return false;
    in->at += (uint32_t)length;
    return true;
}

static bool is_digit(int character) {
    return character >= '0' && character <= '9';
}

/* An integer; a fraction or an exponent is left for the caller to stumble over. */
static bool read_integer(reader *in) {
    uint32_t index;
    if (!open_node(in, LSV_INTEGER, &index)) return false;
    skip(in, '-');
    if (!is_digit(peek(in))) return false;
    if (!skip(in, '0')) {
        while (is_digit(peek(in))) in->at++;
    }
    in->json->nodes[index].length = in->at - in->json->nodes[index].start;
    return true;
}

static int hex_value(int character) {
    if (is_digit(character)) return character - '0';
    if (character >= 'a' && character <= 'f') return character - 'a' + 10;
    if (character >= 'A' && character <= 'F') return character - 'A' + 10;
    return -1;
}

static bool read_four_hex(reader *in, uint32_t *unit) {
    *unit = 0;
    for (int digit = 0; digit < 4; digit++, in->at++) {
        int value = hex_value(peek(in));
        if (value < 0) return false;
        *unit = *unit << 4 | (uint32_t)value;
    }
    return true;
}

/* What follows \u: one unit, or a pair of surrogates; half a pair is no character. */
static bool read_unicode_escape(reader *in, uint32_t *code_point) {
    uint32_t low;
    if (!read_four_hex(in, code_point)) return false;
    if (*code_point < 0xD800 || *code_point > 0xDFFF) return true;
    if (*code_point > 0xDBFF || !skip(in, '\\') || !skip(in, 'u')) return false;
    if (!read_four_hex(in, &low) || low < 0xDC00 || low > 0xDFFF) return false;
    *code_point = 0x10000 + ((*code_point - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static bool read_escape(reader *in, uint32_t *code_point) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    int character = peek(in);
    if (character < 0) return false;
    in->at++;
    if (character == 'u') return read_unicode_escape(in, code_point);
    const char *name = character ? strchr(names, character) : NULL;
    if (name == NULL) return false;
    *code_point = (unsigned char)values[name - names];
    return true;
}

static bool read_plain(reader *in, uint32_t *code_point) {
    lsv_span rest = {in->json->text + in->at, in->json->length - in->at};
    if (!lsv_utf8_next(&rest, code_point) || *code_point < 0x20) return false;
    in->at = in->json->length - (uint32_t)rest.length;
    return true;
}

/* Unescape in place: no escape is shorter than what it means. */
static bool read_string(reader *in) {
    uint32_t index, end;
    if (!skip(in, '"') || !open_node(in, LSV_STRING, &index)) return false;
    end = in->at;
    while (peek(in) != '"') {
        uint32_t code_point;
        bool is_read = skip(in, '\\') ? read_escape(in, &code_point) : read_plain(in, &code_point);
        if (!is_read) return false;
        end += (uint32_t)lsv_utf8_write(code_point, in->json->text + end);
    }
    in->at++;
    in->json->text[end] = '\0'; /* at the latest over the closing quote */
    in->json->nodes[index].length = end - in->json->nodes[index].start;
    return true;
}

static bool same_string(const lsv_json *json, uint32_t one, uint32_t other) {
    const lsv_node *a = &json->nodes[one], *b = &json->nodes[other];
    return a->length == b->length && memcmp(json->text + a->start, json->text + b->start, a->length) == 0;
}

/* Say whether the member called as node `name` is the first of its name; each name is followed by its value. */
static bool is_new_name(const lsv_json *json, uint32_t object, uint32_t name) {
    for (uint32_t node = object + 1; node < name; node = json->nodes[node + 1].next) {
        if (same_string(json, node, name)) return false;
    }
    return true;
}

static bool read_member(reader *in, uint32_t object) {
    uint32_t name = in->json->count;
    skip_blanks(in);
    if (!read_string(in) || !is_new_name(in->json, object, name)) return false;
    skip_blanks(in);
    return skip(in, ':') && read_value(in);
}

static bool read_element(reader *in, uint32_t list) {
    (void)list;
    return read_value(in);
}

/* An object or a list: the same but for the brackets and what is between the commas. */
static bool read_container(reader *in, lsv_type type, char closing, bool (*read_one)(reader *, uint32_t)) {
    uint32_t index;
    if (in->depth == MAXIMUM_DEPTH || !open_node(in, type, &index)) return false;
    in->at++;
    in->depth++;
    skip_blanks(in);
    if (!skip(in, closing)) {
        do {
            if (!read_one(in, index)) return false;
            in->json->nodes[index].length++;
        } while (skip(in, ','));
        if (!skip(in, closing)) return false;
    }
    in->depth--;
    in->json->nodes[index].next = in->json->count;
    return true;
}

static bool read_bare_value(reader *in) {
    switch (peek(in)) {
        case '{': return read_container(in, LSV_OBJECT, '}', read_member);
        case '[': return read_container(in, LSV_LIST, ']', read_element);
        case '"': return read_string(in);
        case 't': return read_word(in, "true", LSV_TRUE);
        case 'f': return read_word(in, "false", LSV_FALSE);
        case 'n': return read_word(in, "null", LSV_NULL);
        default: return read_integer(in);
    }
}

static bool read_value(reader *in) {
    skip_blanks(in);
    if (!read_bare_value(in)) return false;
    skip_blanks(in);
    return true;
}

bool lsv_json_read(lsv_json *json) {
    reader in = {json, 0, 0};
    json->count = 0;
    return read_value(&in) && in.at == json->length;
}

bool lsv_json_is(const lsv_json *json, uint32_t node, lsv_type type) {
    return json->nodes[node].type == (uint32_t)type;
}

bool lsv_json_equals(const lsv_json *json, uint32_t node, const char *text) {
    const lsv_node *found = &json->nodes[node];
    lsv_span span = {json->text + found->start, found->length};
    return found->type == LSV_STRING && lsv_equals(span, text);
}

uint32_t lsv_json_member(const lsv_json *json, uint32_t object, const char *name) {
    if (!lsv_json_is(json, object, LSV_OBJECT)) return 0;
    for (uint32_t node = object + 1; node < json->nodes[object].next; node = json->nodes[node + 1].next) {
        if (lsv_json_equals(json, node, name)) return node + 1;
    }
    return 0;
}

bool lsv_json_number(const lsv_json *json, uint32_t node, int64_t maximum, int64_t *out) {
    const lsv_node *found = &json->nodes[node];
    const char *digit = json->text + found->start, *end = digit + found->length;
    if (found->type != LSV_INTEGER) return false;
    bool is_negative = *digit == '-';
    digit += is_negative;
    for (*out = 0; digit < end; digit++) {
        if (*out > (maximum - (*digit - '0')) / 10) return false;
        *out = *out * 10 + (*digit - '0');
    }
    return !is_negative || *out == 0;
}
