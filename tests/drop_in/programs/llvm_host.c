/* Loads libLLVM, builds a function, verifies it, compiles it for amd64 and prints it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;
static void *get(const char *name) {
    void *found = dlsym(library, name);
    if (!found) { fprintf(stderr, "%s\n", dlerror()); exit(1); }
    return found;
}
#define CALL(result, name, ...) ((result (*)())get(name))(__VA_ARGS__)

int main(int argc, char **argv) {
    (void)argc;
    library = dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    CALL(void, "LLVMInitializeX86TargetInfo");
    CALL(void, "LLVMInitializeX86Target");
    CALL(void, "LLVMInitializeX86TargetMC");
    CALL(void, "LLVMInitializeX86AsmPrinter");
    void *context = CALL(void *, "LLVMContextCreate");
    void *module = CALL(void *, "LLVMModuleCreateWithNameInContext", "m", context);
    void *i32 = CALL(void *, "LLVMInt32TypeInContext", context);
    void *types[] = {i32, i32};
    void *type = CALL(void *, "LLVMFunctionType", i32, types, 2, 0);
    void *function = CALL(void *, "LLVMAddFunction", module, "add", type);
    void *block = CALL(void *, "LLVMAppendBasicBlockInContext", context, function, "entry");
    void *builder = CALL(void *, "LLVMCreateBuilderInContext", context);
    CALL(void, "LLVMPositionBuilderAtEnd", builder, block);
    void *a = CALL(void *, "LLVMGetParam", function, 0), *b = CALL(void *, "LLVMGetParam", function, 1);
    void *sum = CALL(void *, "LLVMBuildAdd", builder, a, b, "sum");
    CALL(void *, "LLVMBuildRet", builder, sum);
    char *message = 0;
    if (CALL(int, "LLVMVerifyModule", module, 2, &message)) { puts(message); return 1; }
    puts("verified");
    puts(CALL(char *, "LLVMPrintModuleToString", module));
    void *target = 0;
    const char *triple = "x86_64-unknown-linux-gnu";
    if (CALL(int, "LLVMGetTargetFromTriple", triple, &target, &message)) { puts(message); return 1; }
    void *machine = CALL(void *, "LLVMCreateTargetMachine", target, triple, "", "", 2, 0, 0);
    void *buffer = 0;
    if (CALL(int, "LLVMTargetMachineEmitToMemoryBuffer", machine, module, 0, &message, &buffer)) {
        puts(message);
        return 1;
    }
    puts(CALL(const char *, "LLVMGetBufferStart", buffer));
    return 0;
}
