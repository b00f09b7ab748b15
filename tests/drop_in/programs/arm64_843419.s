// Cortex-A53 erratum 843419: accesses of a page's data right after an adrp at the end of a page, in the
// orders that are at fault. Each has a symbol.
	.section .text.a,"ax",%progbits
	.balign 4096
	.space 0xff8
	.global main
	.type main,%function
main:	adrp x9,one
	str x9,[sp,#-16]!
	mov x10,sp
	.global moved.0
moved.0: ldr x0,[x9,:lo12:one]
	b 1f
	.balign 4096
	.space 0xffc
1:	adrp x9,two
	ldr x11,[sp]
	.global moved.1
moved.1: ldr w1,[x9,:lo12:two]
	b 2f
	.balign 4096
	.space 0xffc
2:	adrp x9,three
	ldr x12,[sp]
	nop
	.global moved.2
moved.2: str x0,[x9,:lo12:three]
	b 3f
	.balign 4096
	.space 0xff4
	// One word too early: stays.
3:	adrp x9,three
	ldr x12,[sp]
	.global stays
stays:	ldr x2,[x9,:lo12:three]
	add sp,sp,#16
	add x0,x0,x1
	add x0,x0,x2
	sub x0,x0,#72
	ret
	.data
	.balign 8
one:	.quad 20
two:	.quad 32
three:	.quad 0
	.section .note.GNU-stack,"",%progbits
