#include <stdio.h>
typedef void (*fn)(void);
static void a(void){puts("a");} static void b(void){puts("b");} static void c(void){puts("c");} static void d(void){puts("d");}
static void e(void){puts("e");}
static void x(void){puts("x");} static void y(void){puts("y");}
__attribute__((section(".ctors"),used,aligned(8))) static fn t1[]={a,b};
__attribute__((section(".ctors.65000"),used,aligned(8))) static fn t2[]={c};
__attribute__((section(".init_array.00200"),used,aligned(8))) static fn t3[]={d};
__attribute__((section(".init_array"),used,aligned(8))) static fn t4[]={e};
__attribute__((section(".dtors"),used,aligned(8))) static fn t5[]={x,y};
int main(){puts("main");}
