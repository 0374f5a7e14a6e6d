//! Name resolution of the statically linked program.

/// Makes a statically linked glibc resolve names from /etc/hosts and by DNS only, whatever /etc/nsswitch.conf says.
///
/// For any other source in that file, glibc loads a library of the machine, which is made for that machine's own glibc,
/// and crashes in it (rust-lang/rust#100711). These two sources are built in since glibc 2.34. A dynamically linked
/// program follows the file.
pub fn use_built_in_sources() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    {
        use std::ffi::{c_char, c_int};

        unsafe extern "C" {
            fn __nss_configure_lookup(database: *const c_char, sources: *const c_char) -> c_int;
        }
        // It fails only if memory is exhausted.
        // SAFETY: glibc takes two NUL-terminated strings and keeps neither, and no other thread resolves names yet.
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}
