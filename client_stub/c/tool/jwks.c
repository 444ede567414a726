#include "jwks.h"

#include "../src/internal.h"

#include <stdlib.h>
#include <string.h>

#define PUBLIC_KEY_CHARACTERS 43
#define SECOND_KEY_CHARACTERS 2603

static const struct { const char *name; licsrv_purpose purpose; } PURPOSES[] = {
    {"license", LICSRV_FOR_LICENSES}, {"lease", LICSRV_FOR_LEASES}, {"release", LICSRV_FOR_RELEASES}};

static bool member_equals(const lsv_json *json, uint32_t entry, const char *name, const char *value) {
    uint32_t node = lsv_json_member(json, entry, name);
    return node != 0 && lsv_json_equals(json, node, value);
}

static licsrv_purpose purpose_of(const lsv_json *json, uint32_t entry) {
    for (size_t index = 0; index < sizeof PURPOSES / sizeof *PURPOSES; index++) {
        if (member_equals(json, entry, "purpose", PURPOSES[index].name)) return PURPOSES[index].purpose;
    }
    return (licsrv_purpose)0;
}

/* Purposes of newer servers are left out, so that a newer key set can be used. */
static bool is_for_us(const lsv_json *json, uint32_t entry) {
    return member_equals(json, entry, "kty", "OKP") && purpose_of(json, entry) != 0;
}

static bool is_second(const lsv_json *json, uint32_t entry) {
    return member_equals(json, entry, "kty", "AKP") && purpose_of(json, entry) == LICSRV_FOR_LICENSES;
}

static bool read_key(const lsv_json *json, uint32_t entry, licsrv_key *key) {
    unsigned char raw[PUBLIC_KEY_CHARACTERS];
    size_t length;
    const lsv_node *x = &json->nodes[lsv_json_member(json, entry, "x")];
    lsv_span text = {json->text + x->start, x->length};
    if (!member_equals(json, entry, "crv", "Ed25519") || x->type != LSV_STRING) return false;
    if (text.length != PUBLIC_KEY_CHARACTERS || !lsv_base64url_decode(text, raw, &length)) return false;
    key->purpose = purpose_of(json, entry);
    memcpy(key->public_key, raw, LICSRV_PUBLIC_KEY_BYTES);
    if (licsrv_key_id(key->public_key, key->key_id) != LICSRV_OK) return false;
    return member_equals(json, entry, "kid", key->key_id) && lsv_json_member(json, entry, "d") == 0;
}

static bool read_second_key(const lsv_json *json, uint32_t entry, licsrv_second_key *key) {
    unsigned char raw[SECOND_KEY_CHARACTERS];
    size_t length;
    const lsv_node *pub = &json->nodes[lsv_json_member(json, entry, "pub")];
    lsv_span text = {json->text + pub->start, pub->length};
    if (!member_equals(json, entry, "alg", "ML-DSA-65") || pub->type != LSV_STRING) return false;
    if (text.length != SECOND_KEY_CHARACTERS || !lsv_base64url_decode(text, raw, &length)) return false;
    memcpy(key->public_key, raw, LICSRV_SECOND_KEY_BYTES);
    if (licsrv_second_key_id(key->public_key, key->key_id) != LICSRV_OK) return false;
    return member_equals(json, entry, "kid", key->key_id) && lsv_json_member(json, entry, "priv") == 0;
}

/* Where keys of one kind go; exactly one of the two is set. */
typedef struct shelf {
    licsrv_key *keys;
    licsrv_second_key *second_keys;
    size_t room;
} shelf;

static bool put(const lsv_json *json, uint32_t entry, const shelf *on, size_t place) {
    if (on->keys != NULL) return read_key(json, entry, &on->keys[place]);
    return read_second_key(json, entry, &on->second_keys[place]);
}

static int read_entries(const lsv_json *json, const shelf *on) {
    uint32_t list = lsv_json_member(json, 0, "keys");
    size_t count = 0;
    if (list == 0 || !lsv_json_is(json, list, LSV_LIST)) return -1;
    for (uint32_t entry = list + 1; entry < json->nodes[list].next; entry = json->nodes[entry].next) {
        if (on->keys != NULL ? !is_for_us(json, entry) : !is_second(json, entry)) continue;
        if (count == on->room || !put(json, entry, on, count)) return -1;
        count++;
    }
    return (int)count;
}

static int read_set(char *text, size_t length, const shelf *on) {
    uint32_t capacity = (uint32_t)LSV_NODES_FOR(length);
    lsv_json json = {text, (uint32_t)length, malloc(capacity * sizeof(lsv_node)), 0, capacity};
    int count = json.nodes != NULL && lsv_json_read(&json) ? read_entries(&json, on) : -1;
    free(json.nodes);
    return count;
}

int read_jwks(char *text, size_t length, licsrv_key *keys, size_t room) {
    return read_set(text, length, &(shelf){keys, NULL, room});
}

int read_second_jwks(const char *text, size_t length, licsrv_second_key *keys, size_t room) {
    char *copy = malloc(length + 1); /* reading changes what is read */
    if (copy == NULL) return -1;
    memcpy(copy, text, length);
    int count = read_set(copy, length, &(shelf){NULL, keys, room});
    free(copy);
    return count;
}
