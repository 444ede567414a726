/*
 * Public keys from a key set (JWKS) as the server publishes it at /.well-known/jwks.json.
 *
 * For the tool and the example. A product has its keys compiled in: keys in a file next to the program are
 * exchanged as easily as the license.
 */
#ifndef LICSRV_TOOL_JWKS_H
#define LICSRV_TOOL_JWKS_H

#include "../licsrv_verify.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read up to `room` ML-DSA-65 keys for licenses; return how many, or -1 when the set is damaged. Keeps `text`. */
int read_second_jwks(const char *text, size_t length, licsrv_second_key *keys, size_t room);

/* Read up to `room` Ed25519 keys of known purposes; return how many, or -1 when the set is damaged. Changes `text`. */
int read_jwks(char *text, size_t length, licsrv_key *keys, size_t room);

#ifdef __cplusplus
}
#endif

#endif
