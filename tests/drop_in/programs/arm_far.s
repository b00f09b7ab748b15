@ Branches of every form, in both instruction sets, to near and far code of both; what they add up to.
	.syntax unified
	.arch armv7-a
	.section .text.a,"ax",%progbits
	.global main
	.type main,%function
	.thumb
	.thumb_func
main:	push {r4,lr}
	movs r0,#0
	bl t_near
	bl a_near
	bl t_far
	bl a_far
	bl jumps_t
	blx jumps_a
	bl nothing
	.weak nothing
	.hidden nothing
	bl viaplt
	b.w 1f
1:	push {r0}
	mov r1,r0
	ldr r0,9f
8:	add r0,pc
	bl printf
	movs r0,#0
	bl fflush
	pop {r0}
	movs r0,#0
	pop {r4,pc}
	.balign 4
9:	.word fmt-(8b+4)
	.type t_near,%function
	.thumb_func
t_near:	adds r0,#1
	bx lr
	.arm
	.type a_near,%function
a_near:	add r0,r0,#2
	bx lr
	.thumb
	.type jumps_t,%function
	.thumb_func
jumps_t: push {r4,lr}
	bl 2f
	bl 3f
	bl 4f
	bl 5f
	cmp r0,r0
	pop {r4,lr}
	beq.w a_far
2:	b.w t_far
3:	b.w a_far
4:	b.w a_near
5:	cmp r0,r0
	beq.w a_near
	.arm
	.type jumps_a,%function
jumps_a: push {r4,lr}
	bl 2f
	bl 3f
	bl 4f
	bl 5f
	bl t_far
	cmp r0,r0
	bleq t_near
	bleq t_far
	pop {r4,lr}
	bx lr
2:	b t_far
3:	b a_far
4:	b t_near
5:	beq nothing
	b far_text+8
	.section .text.gap,"ax",%progbits
	.space GAP @ set by the test
	.section .text.z,"ax",%progbits
	.arm
	.global t_far, a_far
far_text: .word 0, 0
	add r0,r0,#0x1000
	bx lr
	.type a_far,%function
a_far:	add r0,r0,#0x10
	bx lr
	.thumb
	.thumb_func
	.type t_far,%function
t_far:	adds r0,#0x20
	bx lr
	.type viaplt,%function
	.thumb_func
viaplt:	push {r4,lr}
	mov r4,r0
	movs r0,#0
	bl fflush
	mov r0,r4
	pop {r4,lr}
	b.w t_near2
	.global viaplt, t_near2
	.section .text.a
	.thumb
	.thumb_func
	.type t_near2,%function
t_near2: add r0,r0,#0x2000
	bx lr
	.section .rodata
fmt:	.asciz "%x\n"
	.section .note.GNU-stack,"",%progbits
