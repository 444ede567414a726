/* What the library found, as JSON on standard output. */
#ifndef LICSRV_TOOL_PRINT_H
#define LICSRV_TOOL_PRINT_H

#include "../src/internal.h"

void print_string(lsv_span text);
void print_license(const licsrv_license *license);
void print_feature(const licsrv_license *license, const char *feature);
void print_match(const licsrv_match *match);
void print_lease(const licsrv_lease *lease, int64_t license_end);
void print_revocations(const licsrv_revocations *list);
void print_normal_form(const lsv_span raw[4]);

#endif
