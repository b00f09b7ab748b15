#include <pthread.h>

void show(void);

static void *run(void *unused) {
    show();
    return unused;
}

int main(void) {
    pthread_t thread;
    show();
    show();
    if (pthread_create(&thread, 0, run, 0)) return 1;
    return pthread_join(thread, 0);
}
