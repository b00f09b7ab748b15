// A program whose every indirect branch has to find a landing mark, if MARKED by its note: it reaches
// the PLT by calls, by an address and through the GOT.
	.text
	.global _start
	.type _start,%function
_start:	bti c
	adrp x0,msg
	add x0,x0,:lo12:msg
	bl puts
	adrp x9,pointer
	ldr x9,[x9,:lo12:pointer]
	adrp x0,msg
	add x0,x0,:lo12:msg
	blr x9
	adrp x9,:got:puts
	ldr x9,[x9,:got_lo12:puts]
	adrp x0,msg
	add x0,x0,:lo12:msg
	blr x9
	adr x9,here
	blr x9
	mov x0,#0
	bl exit
here:
	.if MARKED
	bti c
	.endif
	ret
	.section .data.rel.ro,"aw"
	.balign 8
pointer: .quad puts
	.section .rodata
msg:	.asciz "here"
	.section .note.gnu.property,"a"
	.balign 8
	.word 4,16,5
	.asciz "GNU"
	.word 0xc0000000,4,3,0
	.section .note.GNU-stack,"",%progbits
