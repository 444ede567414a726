/*
 * The install identity of a machine that has no facts of its own, such as a container, kept in a file of a folder of the
 * program's choice: the same file with the same content as the client in Python makes, so that both may share the folder.
 *
 * For systems with POSIX files and locks; opens files, so it is not part of the library. On other systems a program
 * keeps the file itself, with licsrv_make_identity and its relatives.
 */
#ifndef LICSRV_INSTALL_IDENTITY_H
#define LICSRV_INSTALL_IDENTITY_H

#include "../licsrv_verify.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LICSRV_IDENTITY_NAME "install-identity"

typedef enum licsrv_identified {
    LICSRV_IDENTIFIED = 0,        /* the text names what there is; nothing to say */
    LICSRV_IDENTITY_NOT_KEPT = 1, /* the machine is weak and no identity can be read or kept: the text is as it was */
    LICSRV_IDENTITY_COPIED = 2    /* the folder came from another machine; this one has got an identity of its own */
} licsrv_identified;

/*
 * Write the device text into `out` (LICSRV_MAXIMUM_DEVICE_INFO + 1 characters), with the identity that is kept in
 * `folder`; it is made where the machine is weak and has none. The second time the same is named; of programs that begin
 * at once one makes it. `folder` NULL: there is no place for it. `machine_name` NULL asks the system. A text that is
 * longer than a device text can be becomes the empty text.
 */
licsrv_identified licsrv_identify(const char *folder, const char *device_info, const char *machine_name,
                                  char out[LICSRV_MAXIMUM_DEVICE_INFO + 1]);

#ifdef __cplusplus
}
#endif

#endif
