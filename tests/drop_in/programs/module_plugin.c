/* A guest: its module's data, init functions of its own, data that the host has too. */
struct module {
    struct module *next;
    const char *name;
};

__attribute__((visibility("hidden"))) struct module own __asm__("local.moduledata") = {0, NAME};

char type[16] __asm__("type.T") = NAME;
extern int counter;
static int made;

__attribute__((constructor)) static void plain(void) { made += 1; }
__attribute__((constructor(101))) static void early(void) { made += 10; }

/* Of whichever plugin came first. */
int shared_number __asm__("shared.number") = NUMBER;
int shared(void) __asm__("shared.get");
int shared(void) { return shared_number; }

/* Each has its own. */
__attribute__((visibility("protected"))) const char *name(void) { return own.name; }
char *types(void) { return type; }
int count(void) { return ++counter; }
int inits(void) { return made; }
int peer(void) { return shared(); }
