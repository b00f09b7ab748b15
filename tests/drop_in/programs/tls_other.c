__thread int other = 100, second = 7;
__thread int other_hidden __attribute__((visibility("hidden"))) = 44;
