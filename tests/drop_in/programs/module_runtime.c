/* A runtime's list of modules, apart from the program whose data it starts with. */
struct module {
    struct module *next;
    const char *name;
};

/* The build mode sets it. */
struct module *volatile last __asm__("runtime.lastmoduledatap") = 0;

void add(struct module *) __asm__("runtime.addmoduledata");
void add(struct module *module) {
    last->next = module;
    last = module;
}
