/* A library with a runtime of its own, for hosts that know of none. */
struct module {
    struct module *next;
    const char *name;
};

struct module first __asm__("runtime.firstmoduledata") = {0, "library"};
struct module *volatile last __asm__("runtime.lastmoduledatap") = 0;

void add(struct module *) __asm__("runtime.addmoduledata");
void add(struct module *module) {
    last->next = module;
    last = module;
}

char type[16] __asm__("type.T") = "library";
static int started, bumps;

void rt0(void) __asm__(ENTRY);
void rt0(void) { started++; }

int starts(void) { return started; }
char *types(void) { return type; }
int bump(void) { return ++bumps; }
const char *own(void) { return last->name; }
