/* Stands where the library of the guard's engine would be, and is none. */
__attribute__((visibility("default"))) int no_guard(void);

int no_guard(void)
{
	return 0;
}
