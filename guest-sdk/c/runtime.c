// The part of a C library that the generated bindings need: malloc and friends for a module without WASI.
//
// Blocks have power-of-two sizes from 16 bytes on, with their class in the 8 bytes before them; a freed block waits in its
// class's list for the next of that size. Memory grows by pages and is never given back: an instance lives for many events, so
// what one event needed serves the next.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 4, CLASSES = 28, HEAD = 8, PAGE = 65536 };

union head {
    uint32_t class;  // of a block in use
    union head *next; // of a free one
    uint64_t align;
};

extern uint8_t __heap_base;
static union head *free_blocks[CLASSES];
static uintptr_t top;

static union head *grow(size_t size) {
    if (top == 0) top = ((uintptr_t)&__heap_base + 7) & ~(uintptr_t)7;
    uintptr_t end = top + size;
    uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end < top) return NULL;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (size_t)-1) return NULL;
    union head *block = (union head *)top;
    top = end;
    return block;
}

void *malloc(size_t size) {
    uint32_t class = SMALLEST;
    while (class < CLASSES && ((size_t)1 << class) < size + HEAD) class++;
    if (class == CLASSES) return NULL;
    union head *block = free_blocks[class];
    if (block) free_blocks[class] = block->next;
    else block = grow((size_t)1 << class);
    if (!block) return NULL;
    block->class = class;
    return block + 1;
}

void free(void *at) {
    if (!at) return;
    union head *block = (union head *)at - 1;
    uint32_t class = block->class;
    block->next = free_blocks[class];
    free_blocks[class] = block;
}

void *realloc(void *at, size_t size) {
    if (!at) return malloc(size);
    size_t have = ((size_t)1 << ((union head *)at - 1)->class) - HEAD;
    if (size <= have) return at;
    void *new = malloc(size);
    if (!new) return NULL;
    memcpy(new, at, have);
    free(at);
    return new;
}

void *calloc(size_t count, size_t size) {
    size_t all;
    if (__builtin_mul_overflow(count, size, &all)) return NULL;
    void *at = malloc(all);
    if (at) memset(at, 0, all);
    return at;
}

_Noreturn void abort(void) {
    __builtin_trap();
}

void *memcpy(void *restrict to, const void *restrict from, size_t length) {
    uint8_t *out = to;
    const uint8_t *in = from;
    while (length--) *out++ = *in++;
    return to;
}

void *memmove(void *to, const void *from, size_t length) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if (out < in) return memcpy(to, from, length);
    while (length--) out[length] = in[length];
    return to;
}

void *memset(void *to, int byte, size_t length) {
    uint8_t *out = to;
    while (length--) *out++ = (uint8_t)byte;
    return to;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

int memcmp(const void *a, const void *b, size_t length) {
    const uint8_t *x = a, *y = b;
    for (; length; length--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
