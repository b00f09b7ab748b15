#include <stdexcept>
#include <cstdio>
#include <string>
struct D{~D(){std::puts("dtor");}};
int f(int x){D d; if(x>0) throw std::runtime_error("boom"+std::to_string(x)); return 1;}
int main(){ try{f(3);}catch(const std::exception&e){std::puts(e.what());} try{throw 5;}catch(int i){std::printf("%d\n",i);} }
