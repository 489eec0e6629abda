# The compiler's flags, one place for the build, the tests and the checks.
# Sourced, never run.

C_WARNINGS='-std=gnu17 -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
 -Wmissing-prototypes -Wformat=2 -Wvla -Walloca -Wimplicit-fallthrough -Wundef -Wcast-qual -Wwrite-strings
 -Wnull-dereference -Wduplicated-cond -Wlogical-op -Wswitch-enum'

C_HARDENING='-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
 -ftrivial-auto-var-init=zero -fno-strict-aliasing -fPIE -static-pie
 -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code'
# Control-flow protection is the processor's; the flag exists on x86 only.
case $(uname -m) in x86_64) C_HARDENING="$C_HARDENING -fcf-protection=full" ;; esac

# For what Node loads.
C_LIBRARY='-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fPIC -shared
 -Wl,-z,relro,-z,now,-z,noexecstack'

# For tests: not static, because the sanitizers' library is not.
C_SANITIZE='-Og -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'

# One line each, so that they can be compared and passed on.
C_WARNINGS=$(echo $C_WARNINGS)
C_HARDENING=$(echo $C_HARDENING)
C_LIBRARY=$(echo $C_LIBRARY)
