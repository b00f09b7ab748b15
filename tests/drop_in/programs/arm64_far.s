// Calls and jumps of every form to near and far code, the PLT from afar; what they add up to.
	.section .text.a,"ax",%progbits
	.global main
	.type main,%function
main:	stp x29,x30,[sp,#-32]!
	mov w0,#0
	bl far
	bl far+4
	bl hidden
	bl jumps
	.weak nothing
	.hidden nothing
	bl nothing
	bl viaplt
	str w0,[sp,#16]
	mov w1,w0
	adrp x0,fmt
	add x0,x0,:lo12:fmt
	bl printf
	mov x0,#0
	bl fflush
	ldr w1,[sp,#16]
	adrp x2,pointer
	ldr x2,[x2,:lo12:pointer]
	mov w0,w1
	blr x2
	sub w0,w0,w1
	sub w0,w0,#0x110
	ldp x29,x30,[sp],#32
	ret
	.type jumps,%function
jumps:	cmp x0,x0
	b.ne 1f
	cbnz xzr,1f
	tbnz xzr,#3,1f
	b jumped
1:	brk #0
	.global t_near
	.type t_near,%function
t_near:	add w0,w0,#2,lsl #12
	ret
	.section .text.gap,"ax",%progbits
	.space GAP // set by the test
	.section .text.z,"ax",%progbits
	.global far,jumped,viaplt
	.type far,%function
far:	add w0,w0,#0x1
	add w0,w0,#0x10
	ret
	.type hidden,%function
hidden:	add w0,w0,#0x100
	ret
	.type jumped,%function
jumped:	add w0,w0,#1,lsl #12
	ret
	.type viaplt,%function
viaplt:	stp x29,x30,[sp,#-32]!
	str w0,[sp,#16]
	mov x0,#0
	bl fflush
	ldr w0,[sp,#16]
	ldp x29,x30,[sp],#32
	b t_near
	.type addressed,%function
addressed: add w0,w0,#0x10
	b hidden
	.section .data.rel.ro,"aw"
	.balign 8
pointer: .quad addressed
	.section .rodata
fmt:	.asciz "%x\n"
	.section .note.GNU-stack,"",%progbits
