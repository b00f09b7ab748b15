// Thread-locals of every visibility. Built as position-independent code, whatever is made of it.
#include <stdio.h>

extern __thread int other, second;
extern __thread int other_hidden __attribute__((visibility("hidden")));
static __thread int local = 11, zeroed, third = 3;
__thread int global = 22;
__thread int hidden __attribute__((visibility("hidden"))) = 33;
__thread char aligned[3] __attribute__((aligned(64))) = {1, 2, 3};
extern __thread int nowhere __attribute__((weak));

__attribute__((noinline)) static int bump(int by) {
    local += by;
    zeroed += by;
    third += by;
    return local * 10000 + zeroed * 100 + third;
}

void show(void) {
    other++, global++, hidden++, other_hidden++;
    bump(1);
    printf("%d %d %d %d %d %d %d %d\n", bump(1), other, second, global, hidden, other_hidden,
           aligned[2], (int)((unsigned long)aligned % 64));
}
