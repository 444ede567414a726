/* Whole files in memory, for the command line tool and the example. */
#ifndef LICSRV_TOOL_BYTES_H
#define LICSRV_TOOL_BYTES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MAXIMUM_BYTES ((size_t)32 << 20)

/* Read the file called `path` ("-": standard input) into fresh memory, with NUL behind; NULL when it cannot be read or
 * has more than MAXIMUM_BYTES. */
char *read_bytes(const char *path, size_t *length);

#ifdef __cplusplus
}
#endif

#endif
