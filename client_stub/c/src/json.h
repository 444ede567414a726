/*
 * A strict reader of JSON (RFC 8259) that fills an array of nodes and allocates nothing.
 *
 * Refuses members that come twice, numbers that are no integers, lone surrogates, bytes that are not UTF-8 and nesting
 * deeper than 32. Strings are unescaped in place, so the text must be writable, with room for one NUL behind.
 */
#ifndef LICSRV_JSON_H
#define LICSRV_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LSV_NODES_FOR(characters) ((characters) / 2 + 2) /* a value needs at least a character and a comma */

typedef enum lsv_type { LSV_OBJECT, LSV_LIST, LSV_STRING, LSV_INTEGER, LSV_TRUE, LSV_FALSE, LSV_NULL } lsv_type;

/* One value. The children of an object are names and values by turns. */
typedef struct lsv_node {
    uint32_t start;  /* of a string or a number, in the text */
    uint32_t length; /* in bytes; of an object or a list: how many values it holds */
    uint32_t next;   /* the node behind this one and everything in it */
    uint32_t type;
} lsv_node;

/* A text that was read; node 0 is the root. */
typedef struct lsv_json {
    char *text;
    uint32_t length;
    lsv_node *nodes;
    uint32_t count;
    uint32_t capacity;
} lsv_json;

/* Read `text` into json->nodes; false when it is not plain JSON. Text, length, nodes and capacity are set before. */
bool lsv_json_read(lsv_json *json);

/* Return the value of a member; 0 when there is none or `object` is none. */
uint32_t lsv_json_member(const lsv_json *json, uint32_t object, const char *name);

bool lsv_json_is(const lsv_json *json, uint32_t node, lsv_type type);
bool lsv_json_equals(const lsv_json *json, uint32_t node, const char *text);

/* Read a whole number between 0 and `maximum`. */
bool lsv_json_number(const lsv_json *json, uint32_t node, int64_t maximum, int64_t *out);

#ifdef __cplusplus
}
#endif

#endif
