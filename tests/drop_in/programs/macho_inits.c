/* Functions that run when the image is loaded; `order` says in which order they did. */
volatile int order;
void first(void) { order = order * 10 + 1; }
__attribute__((constructor)) static void second(void) { order = order * 10 + 2; }
void third(void) { order = order * 10 + 3; }
/* Becomes an initialiser's offset. */
__attribute__((used, section("__TEXT,__early"))) const int early = 0x5c01d;
