// Shared by the library's two files and the host: vtables, templates and inline statics that
// must be one copy in the whole process.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>

struct Failure : std::runtime_error {
    int code;
    Failure(int code, const std::string &what) : std::runtime_error(what), code(code) {}
    ~Failure() override;
};

struct Base {
    virtual ~Base() = default;
    virtual std::string name() const { return "base"; }
    int shared_value = 1;
};
struct Left : virtual Base {
    std::string name() const override { return "left"; }
};
struct Right : virtual Base {
    virtual int weight() const { return 2; }
};
struct Diamond : Left, Right {
    std::string name() const override;
    int weight() const override;
};

inline int &counter() {
    static int value = 0;
    return ++value, value;
}

// A local static: it exists whatever the order of initialisers.
template <typename T> struct Registry {
    static std::vector<T> &items() {
        static std::vector<T> list;
        return list;
    }
};

inline thread_local std::string thread_name = "fresh";
