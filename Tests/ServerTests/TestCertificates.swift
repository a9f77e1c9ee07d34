// Certificates of localhost that signed themselves, with their keys: of tests, from 2020 to 2120.

/// Certificates and their keys.
enum TestCertificates {
  static let first = (
    certificate: """
    -----BEGIN CERTIFICATE-----
    MIIBeTCCASCgAwIBAgIUQdlRqCt+yY4zi5Qki5Co1i5Rw+QwCgYIKoZIzj0EAwIw
    FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
    MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
    PQMBBwNCAAQFmqQWvNl2rtxcB49D/q3vwyzP1jKLrMcy3O6U0j8FLbLwqi2lPqnR
    +iHI/xdC/9GeVY0E/Qa27of6qSUttGawo04wTDAaBgNVHREEEzARgglsb2NhbGhv
    c3SHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUgp9fyTujykKVB90q
    sL3V4g0xR5kwCgYIKoZIzj0EAwIDRwAwRAIgVBmqUBAKF2BSU2sdqYFB8vklpIoP
    n1ecT47QjRk7MXcCIE+9gS/mQmswfvuIzTEcPcNYIgTOq/bO5m4UFLGmqe1m
    -----END CERTIFICATE-----

    """,
    key: """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1HsozAor7RwWZeQb
    Lnx9sqKirsxEtILWk8p1xzW7dROhRANCAAQFmqQWvNl2rtxcB49D/q3vwyzP1jKL
    rMcy3O6U0j8FLbLwqi2lPqnR+iHI/xdC/9GeVY0E/Qa27of6qSUttGaw
    -----END PRIVATE KEY-----

    """
  )
  static let second = (
    certificate: """
    -----BEGIN CERTIFICATE-----
    MIIBejCCASCgAwIBAgIUXh4FZVBZbZdvItpRv+WuSzhFtv4wCgYIKoZIzj0EAwIw
    FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
    MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
    PQMBBwNCAATnaU5zFEIsSjGfr2qGGEcZR2TNGBL00fkpwLvVsC6UjL5KevV/tG0K
    FmTHxzftrhUNhCGVgXBq9/JjvGaxceHao04wTDAaBgNVHREEEzARgglsb2NhbGhv
    c3SHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUTzRktTjhWfHAoRlu
    ECIBymKfBfcwCgYIKoZIzj0EAwIDSAAwRQIgaV+8p0VPDsU/8ijHLkE5Py5+8nxw
    5IzNSS7+DnUq4TICIQCvTfgixn/JSxcOt9kyZEGiM4qBU5QU1jwTwR3DsKMNZQ==
    -----END CERTIFICATE-----

    """,
    key: """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOGkstyRd/F5F4z1W
    VIdHR5O+IwotZ424JuhjBe5z/iGhRANCAATnaU5zFEIsSjGfr2qGGEcZR2TNGBL0
    0fkpwLvVsC6UjL5KevV/tG0KFmTHxzftrhUNhCGVgXBq9/JjvGaxceHa
    -----END PRIVATE KEY-----

    """
  )
}
