// SPDX-License-Identifier: Apache-2.0
// Stack switching for x86-64 System V.                        (Go: asm_amd64.s: mcall, gogo, systemstack, mstart)
//
// A goroutine that is switched out looks like this (stack grows down):
//
//     |  frames of the goroutine                |
//     |  ...                                    |  <- rsp at the switch (switchToG0's inline asm)
//     |  128 bytes red zone, maybe in use       |
//     |  resume pc                              |  +16
//     |  rbp                                    |  +8
//     |  mxcsr (4 bytes), x87 control word (2)  |  +0   <- g->sched.sp
//
// rbx and r12..r15 are clobbers of the inline asm, so the frame that holds it has saved whatever was live.
// Floating point: the control words belong to the goroutine (it changes threads); they are always stored and always
// loaded: comparing first costs more than the two loads. stmxcsr alone is ~12 cycles.
// The C++ exception state is swapped by the caller (sched/proc.cpp), sanitizers are told by the two hooks below.
// Signals: safe at every instruction; a handler runs on the gsignal stack. Between the two stores of g and rsp the
// pair (g, stack) is inconsistent for a few instructions: handlers compare rsp with g->stack before they trust it.
// No .note.gnu.property: shadow stacks are not supported (start-up refuses them).
#define FIELD(name, type, member, offset) .set name, offset
#include "arch/asm_fields.tbl"

#include "base/sanitizer.hpp"

	.text

// void gort_mcall();   in: rdi = fn(G*) -> G*, rax = resume pc.   Reached by jmp.
// Runs fn(gp) on g0 and continues the goroutine it returns.   Caller: goroutine stack of an M's thread.
// Clobbers: everything but rsp and rbp (as seen by the goroutine when it resumes).
	.globl	gort_mcall
	.hidden	gort_mcall
	.type	gort_mcall, @function
	.p2align 4
gort_mcall:
	.cfi_startproc
	.cfi_def_cfa %rsp, 0
	.cfi_register %rip, %rax
	leaq	-128(%rsp), %rsp
	.cfi_def_cfa_offset 128
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rip, -136
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rbp, -144
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	movq	gort_tls_g@GOTTPOFF(%rip), %rcx
	movq	%fs:(%rcx), %rdx
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	G_m(%rdx), %rbx
	movq	%rsp, G_sched_sp(%rdx)
	movq	%rax, G_sched_pc(%rdx)
	movq	M_g0(%rbx), %rsi
#if GORT_SANITIZED
	movq	%rdi, %r12
	movq	%rdx, %r13
	movq	%rsi, %r14
	movq	%rdx, %rdi
	andq	$-16, %rsp
	call	gort_fiber_leave
	movq	%r12, %rdi
	movq	%r13, %rdx
	movq	%r14, %rsi
	movq	gort_tls_g@GOTTPOFF(%rip), %rcx
#endif
	movq	%rsi, %fs:(%rcx)
	movq	G_sched_sp(%rsi), %rsp
	.cfi_def_cfa %rsp, 8
	.cfi_undefined %rip
	.cfi_undefined %rbp
	xorl	%ebp, %ebp
	movq	%rdi, %r15
	movq	%rdx, %r14
#if GORT_SANITIZED
	movq	%rsi, %rdi
	call	gort_fiber_arrive
#endif
	movq	%r14, %rdi
	call	*%r15
	// rax: the goroutine to continue, rbx: this M.
	jmp	gort_gogo
	.cfi_endproc
	.size	gort_mcall, .-gort_mcall

// gogo: in rax = G to continue, rbx = this M; on g0.   (not a C function)
	.type	gort_gogo, @function
	.p2align 4
gort_gogo:
	.cfi_startproc
	.cfi_def_cfa %rsp, 8
	.cfi_undefined %rip
#if GORT_SANITIZED
	movq	%rax, %r12
	movq	%rax, %rdi
	call	gort_fiber_goto
	movq	%r12, %rax
#endif
	movq	gort_tls_g@GOTTPOFF(%rip), %rcx
	movq	%rax, %fs:(%rcx)
	movq	G_sched_sp(%rax), %rsp
	.cfi_def_cfa %rsp, 152
	.cfi_offset %rip, -136
	.cfi_offset %rbp, -144
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
#if GORT_SANITIZED
	movq	%rsp, %r12
	movq	%rax, %rdi
	andq	$-16, %rsp
	call	gort_fiber_arrive
	movq	%r12, %rsp
#endif
	movq	8(%rsp), %rbp
	movq	16(%rsp), %rdx
	leaq	152(%rsp), %rsp
	.cfi_def_cfa %rsp, 0
	.cfi_register %rip, %rdx
	.cfi_same_value %rbp
	jmp	*%rdx
	.cfi_endproc
	.size	gort_gogo, .-gort_gogo

// First pc of a goroutine.   Stack in: [rsp] = fn, [rsp+8] = closure; rsp is 16-aligned.  The chain of callers ends here.
	.globl	gort_gostart
	.hidden	gort_gostart
	.type	gort_gostart, @function
	.p2align 4
	.cfi_startproc
	.cfi_undefined %rip
	nop			// unwinders look up return pc - 1
gort_gostart:
	popq	%rax
	popq	%rdi
	xorl	%ebp, %ebp
	call	*%rax
	call	gort_goexit
	ud2
	.cfi_endproc
	.size	gort_gostart, .-gort_gostart

// void gort_systemstack(void (*fn)(void*) /*rdi*/, void* arg /*rsi*/);
// Runs fn(arg) on g0; on g0 already (or on a thread without G): in place.   An unwinder walks through rbp to the caller.
	.globl	gort_systemstack
	.hidden	gort_systemstack
	.type	gort_systemstack, @function
	.p2align 4
gort_systemstack:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq	%rbx
	pushq	%r12
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	movq	gort_tls_g@GOTTPOFF(%rip), %rcx
	movq	%fs:(%rcx), %rbx
	movq	%rdi, %rax
	movq	%rsi, %rdi
	testq	%rbx, %rbx
	je	1f
	movq	G_m(%rbx), %rdx
	movq	M_g0(%rdx), %rsi
	cmpq	%rsi, %rbx
	je	1f
	movq	%rsi, %fs:(%rcx)
	movq	G_sched_sp(%rsi), %rsp
	call	*%rax
	movq	gort_tls_g@GOTTPOFF(%rip), %rcx
	movq	%rbx, %fs:(%rcx)
	jmp	2f
1:	andq	$-16, %rsp
	call	*%rax
2:	leaq	-16(%rbp), %rsp
	popq	%r12
	popq	%rbx
	popq	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	gort_systemstack, .-gort_systemstack

// void gort_enterg0(M* mp /*rdi*/, G* (*first)(G*) /*rsi*/);
// Makes the calling thread's stack below here g0's and runs goroutines, beginning with first(g0).
// Returns only through gort_leaveg0(mp).   Requires: g == mp->g0.
	.globl	gort_enterg0
	.hidden	gort_enterg0
	.type	gort_enterg0, @function
	.p2align 4
gort_enterg0:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rdi, %rbx
	movq	%rsp, M_exitsp(%rbx)
	movq	M_g0(%rbx), %rdi
	andq	$-16, %rsp
	movq	%rsp, G_sched_sp(%rdi)
	call	*%rsi
	jmp	gort_gogo
	.cfi_endproc
	.size	gort_enterg0, .-gort_enterg0

// [[noreturn]] void gort_leaveg0(M* mp /*rdi*/);   Returns from gort_enterg0.   Runs on: g0 of mp's thread.
	.globl	gort_leaveg0
	.hidden	gort_leaveg0
	.type	gort_leaveg0, @function
	.p2align 4
gort_leaveg0:
	.cfi_startproc
	movq	M_exitsp(%rdi), %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.cfi_endproc
	.size	gort_leaveg0, .-gort_leaveg0

// Where functions marked GORT_JUMP_RETURN return through (the compiler fixes the name).   Clobbers: rcx.
	.globl	__x86_return_thunk
	.hidden	__x86_return_thunk
	.type	__x86_return_thunk, @function
	.p2align 4
__x86_return_thunk:
	.cfi_startproc
	popq	%rcx
	.cfi_def_cfa_offset 0
	.cfi_register %rip, %rcx
	jmp	*%rcx
	.cfi_endproc
	.size	__x86_return_thunk, .-__x86_return_thunk

// The one thread-local word of the runtime: the current goroutine.
	.section .tbss,"awT",@nobits
	.globl	gort_tls_g
	.hidden	gort_tls_g
	.type	gort_tls_g, @object
	.size	gort_tls_g, 8
	.p2align 3
gort_tls_g:
	.zero	8

	.section .note.GNU-split-stack,"",@progbits
	.section .note.GNU-stack,"",@progbits
