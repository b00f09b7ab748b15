/* What any program needs: libc's data and functions, TLS, init arrays, weak symbols, COMMON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int common_block[64];
static int order;
static int first, second, last;
__thread int counter = 7;
static __thread char zeroed[100];
extern int nowhere(void) __attribute__((weak));
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int (*comparator)(const void *, const void *) = compare;
FILE **stream = &stdout;

__attribute__((constructor(101))) static void one(void) { first = ++order; }
__attribute__((constructor(102))) static void two(void) { second = ++order; }
__attribute__((constructor)) static void three(void) { last = ++order; }
__attribute__((destructor)) static void bye(void) { puts("bye"); }

static int twice(int x) { return x * 2; }
static int thrice(int x) { return x * 3; }
static int (*choose(void))(int) { return order > 2 ? thrice : twice; }
int chosen(int) __attribute__((ifunc("choose_early")));
static int (*choose_early(void))(int) { return twice; }

int main(int argc, char **argv) {
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, comparator);
    counter += argc;
    errno = 0;
    printf("%d%d%d %d%d%d %d %d %d %d %s\n", numbers[0], numbers[1], numbers[2], first, second, last,
           counter, zeroed[99], nowhere == 0, common_block[63], strchr("x=y", '='));
    fprintf(*stream, "%d %d %d\n", chosen(21), choose()(1), errno);
    return strcmp(getenv("PATH") ? "ok" : "ok", "ok");
}
