// What runtime.c has of stdlib.h.
#pragma once

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *at, size_t size);
void free(void *at);
_Noreturn void abort(void);
