/* The install identity: what its file says, whether it was made on this machine, and a device text that names it. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#define IDENTITY_DIGITS 32
#define WITNESS_BYTES 16
#define MOST_NAME 64

static const char IDENTITY[] = "INSTALL-", WITNESS[] = "MACHINE-", HASHED[] = "machine:";

static void write_hex(const unsigned char *raw, size_t length, char *out) {
    for (size_t at = 0; at < length; at++) snprintf(out + 2 * at, 3, "%02X", raw[at]);
}

static bool is_blank(char character) {
    return character == ' ' || (character >= '\t' && character <= '\r');
}

/* The name as it is hashed: without blanks around it, in lower case. Returns its length. */
static size_t normal_name(const char *name, char out[MOST_NAME]) {
    lsv_span left = lsv_span_of(name == NULL ? "" : name);
    while (left.length > 0 && is_blank(*left.data)) left.data++, left.length--;
    while (left.length > 0 && is_blank(left.data[left.length - 1])) left.length--;
    if (left.length > MOST_NAME) left.length = MOST_NAME;
    for (size_t at = 0; at < left.length; at++) {
        bool is_capital = left.data[at] >= 'A' && left.data[at] <= 'Z';
        out[at] = (char)(is_capital ? left.data[at] - 'A' + 'a' : left.data[at]);
    }
    return left.length;
}

/* Systems ask that the name is not shown as it is (machine-id(5)), so a keyed hash is kept. Empty without a name. */
static licsrv_result make_witness(const char *identity, const char *name, char out[LICSRV_IDENTITY_CHARACTERS + 1]) {
    char message[sizeof HASHED + MOST_NAME];
    unsigned char digest[LSV_DIGEST_BYTES];
    size_t length = normal_name(name, message + sizeof HASHED - 1);
    *out = '\0';
    if (length == 0) return LICSRV_OK;
    memcpy(message, HASHED, sizeof HASHED - 1);
    lsv_span key = {identity, LICSRV_IDENTITY_CHARACTERS};
    LSV_TRY(lsv_hmac(key, (lsv_span){message, sizeof HASHED - 1 + length}, digest));
    memcpy(out, WITNESS, sizeof WITNESS - 1);
    write_hex(digest, WITNESS_BYTES, out + sizeof WITNESS - 1);
    return LICSRV_OK;
}

/* Step over `word` and 32 digits; `found` gets both. */
static bool take_line(lsv_span *rest, const char *word, char found[LICSRV_IDENTITY_CHARACTERS + 1]) {
    const char *first = rest->data;
    if (!lsv_skip(rest, word) || rest->length < IDENTITY_DIGITS) return false;
    for (int at = 0; at < IDENTITY_DIGITS; at++, rest->data++, rest->length--) {
        bool is_digit = (*rest->data >= '0' && *rest->data <= '9') || (*rest->data >= 'A' && *rest->data <= 'F');
        if (!is_digit) return false;
    }
    memcpy(found, first, LICSRV_IDENTITY_CHARACTERS);
    found[LICSRV_IDENTITY_CHARACTERS] = '\0';
    return true;
}

static bool take_line_end(lsv_span *rest) {
    return lsv_skip(rest, "\r\n") || lsv_skip(rest, "\n");
}

licsrv_result licsrv_make_identity(const unsigned char random[LICSRV_IDENTITY_RANDOM_BYTES], const char *machine_name,
                                   char content[LICSRV_IDENTITY_CONTENT + 1]) {
    char witness[LICSRV_IDENTITY_CHARACTERS + 1];
    if (random == NULL || content == NULL) return LICSRV_ARGUMENT;
    memcpy(content, IDENTITY, sizeof IDENTITY - 1);
    write_hex(random, LICSRV_IDENTITY_RANDOM_BYTES, content + sizeof IDENTITY - 1);
    LSV_TRY(make_witness(content, machine_name, witness));
    strcat(content, "\n");
    if (*witness != '\0') strcat(strcat(content, witness), "\n");
    return LICSRV_OK;
}

licsrv_result licsrv_read_identity(const char *content, size_t length, const char *machine_name,
                                   char identity[LICSRV_IDENTITY_CHARACTERS + 1]) {
    char kept[LICSRV_IDENTITY_CHARACTERS + 1] = "", expected[LICSRV_IDENTITY_CHARACTERS + 1];
    if (content == NULL || identity == NULL) return LICSRV_ARGUMENT;
    lsv_span rest = {content, length};
    *identity = '\0';
    LSV_DEMAND(take_line(&rest, IDENTITY, identity));
    bool has_witness = take_line_end(&rest) && take_line(&rest, WITNESS, kept);
    if (has_witness) take_line_end(&rest);
    if (rest.length > 0) {
        *identity = '\0';
        return LICSRV_INVALID;
    }
    LSV_TRY(make_witness(identity, machine_name, expected));
    bool is_known = has_witness && *expected != '\0';
    return is_known && !lsv_equal_in_constant_time(lsv_span_of(kept), lsv_span_of(expected)) ? LICSRV_WRONG_DEVICE
                                                                                              : LICSRV_OK;
}

bool licsrv_is_weak_device(const char *device_info) {
    char normal[LSV_NORMAL_BYTES];
    lsv_span raw[4];
    if (device_info == NULL || !lsv_split_device(device_info, raw)) return false;
    for (int part = 0; part < 3; part++) { /* the CPU is its model's, not the machine's */
        bool local_counts = lsv_local_counts(part, raw[part]);
        while (raw[part].data != NULL) {
            size_t length = lsv_normal_value(part, lsv_next_value(part, &raw[part]), normal);
            if (lsv_is_telling(part, (lsv_span){normal, length}, local_counts)) return false;
        }
    }
    return true;
}

static bool names(lsv_span disks, const char *identity) {
    while (disks.data != NULL) {
        if (lsv_equals(lsv_next_value(1, &disks), identity)) return true;
    }
    return false;
}

licsrv_result licsrv_name_identity(const char *device_info, const char *identity, char *out, size_t size) {
    lsv_span raw[4];
    if (device_info == NULL || identity == NULL || out == NULL || size == 0) return LICSRV_ARGUMENT;
    size_t length = strlen(device_info), added = strlen(identity);
    if (length + 1 > size) return LICSRV_MEMORY;
    memcpy(out, device_info, length + 1);
    if (added == 0 || !lsv_split_device(device_info, raw) || names(raw[1], identity)) return LICSRV_OK;
    size_t comma = raw[1].length > 0 ? 1 : 0, before = (size_t)(raw[1].data + raw[1].length - device_info);
    if (length + comma + added > LICSRV_MAXIMUM_DEVICE_INFO) return LICSRV_OK;
    if (length + comma + added + 1 > size) return LICSRV_MEMORY;
    if (comma > 0) out[before] = ',';
    memcpy(out + before + comma, identity, added);
    memcpy(out + before + comma + added, device_info + before, length - before + 1);
    return LICSRV_OK;
}
