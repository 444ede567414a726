/* Everything that needs libcrypto: SHA-256, HMAC, Ed25519, and the key ids that are derived from keys. */
#include "internal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

licsrv_result lsv_sha256(lsv_span first, lsv_span second, unsigned char digest[LSV_DIGEST_BYTES]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(context, first.data, first.length) == 1 &&
                   EVP_DigestUpdate(context, second.data, second.length) == 1 &&
                   EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return is_done ? LICSRV_OK : LICSRV_UNAVAILABLE;
}

licsrv_result lsv_hmac(lsv_span key, lsv_span message, unsigned char digest[LSV_DIGEST_BYTES]) {
    unsigned int length = LSV_DIGEST_BYTES;
    const unsigned char *data = (const unsigned char *)message.data;
    unsigned char *made = HMAC(EVP_sha256(), key.data, (int)key.length, data, message.length, digest, &length);
    return made != NULL ? LICSRV_OK : LICSRV_UNAVAILABLE;
}

bool lsv_equal_in_constant_time(lsv_span one, lsv_span other) {
    return one.length == other.length && CRYPTO_memcmp(one.data, other.data, one.length) == 0;
}

licsrv_result licsrv_key_id(const unsigned char public_key[LICSRV_PUBLIC_KEY_BYTES],
                            char key_id[LICSRV_KEY_ID_CHARACTERS + 1]) {
    /* RFC 7638 with the members of an OKP key (RFC 8037), in the order that the thumbprint demands. */
    static const char head[] = "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"", tail[] = "\"}";
    char json[128], encoded[44];
    unsigned char digest[LSV_DIGEST_BYTES];
    if (public_key == NULL || key_id == NULL) return LICSRV_ARGUMENT;
    memcpy(json, head, sizeof head);
    lsv_base64url_encode(public_key, LICSRV_PUBLIC_KEY_BYTES, encoded);
    strcat(json, encoded);
    strcat(json, tail);
    LSV_TRY(lsv_sha256(lsv_span_of(json), lsv_span_of(""), digest));
    lsv_base64url_encode(digest, LSV_DIGEST_BYTES, encoded);
    memcpy(key_id, encoded, LICSRV_KEY_ID_CHARACTERS);
    key_id[LICSRV_KEY_ID_CHARACTERS] = '\0';
    return LICSRV_OK;
}

/* A key that was exchanged under its old id is noticed here, and it is the program's mistake, not the license's. */
static licsrv_result check_pinned(const licsrv_key *key) {
    char derived[LICSRV_KEY_ID_CHARACTERS + 1];
    LSV_TRY(licsrv_key_id(key->public_key, derived));
    return memcmp(key->key_id, derived, sizeof derived) == 0 ? LICSRV_OK : LICSRV_ARGUMENT;
}

static licsrv_result find_key(const licsrv_expected *expected, lsv_span key_id, licsrv_purpose purpose,
                              const licsrv_key **found) {
    *found = NULL;
    for (size_t index = 0; index < expected->key_count; index++) {
        const licsrv_key *key = &expected->keys[index];
        if (key_id.length != LICSRV_KEY_ID_CHARACTERS || memcmp(key->key_id, key_id.data, key_id.length) != 0) continue;
        if (*found != NULL) return LICSRV_ARGUMENT; /* one id twice: which purpose counts would depend on the order */
        *found = key;
    }
    LSV_DEMAND(*found != NULL && (*found)->purpose == purpose);
    return check_pinned(*found);
}

static licsrv_result verify(EVP_MD_CTX *context, EVP_PKEY *key, lsv_span message, lsv_span signature) {
    const unsigned char *data = (const unsigned char *)message.data, *seal = (const unsigned char *)signature.data;
    if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1) return LICSRV_UNAVAILABLE;
    return EVP_DigestVerify(context, seal, signature.length, data, message.length) == 1 ? LICSRV_OK : LICSRV_INVALID;
}

static licsrv_result verify_ed25519(const licsrv_key *key, lsv_span message, lsv_span signature) {
    EVP_PKEY *public_key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->public_key, LICSRV_PUBLIC_KEY_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    licsrv_result result = LICSRV_UNAVAILABLE;
    if (public_key != NULL && context != NULL) result = verify(context, public_key, message, signature);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public_key);
    return result;
}

licsrv_result lsv_check_signature(const licsrv_expected *expected, lsv_span key_id, licsrv_purpose purpose,
                                  lsv_span message, lsv_span signature) {
    const licsrv_key *key;
    LSV_TRY(find_key(expected, key_id, purpose, &key));
    LSV_DEMAND(signature.length == LSV_SIGNATURE_BYTES);
    ERR_set_mark(); /* a bad signature is an answer, not an entry in the program's queue of errors */
    licsrv_result result = verify_ed25519(key, message, signature);
    ERR_pop_to_mark();
    return result;
}
