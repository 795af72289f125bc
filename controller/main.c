/* Picks the command or the role; everything else is a layer. */
#include <stdio.h>

int main(void)
{
	puts("countersign " VERSION);
	return 0;
}
