//! The requests that are measured and counted: the shapes that servers see, from a health check to
//! a browser with long cookies behind a proxy. A size is part of the constant's type.

/// One request head, or several in a row.
pub struct Input {
    /// Its size in bytes: its name on the command line and in tables.
    pub name: &'static str,
    pub bytes: &'static [u8],
    /// Heads in it.
    pub heads: u32,
}

pub const INPUTS: [Input; 7] = [
    one("31", MINIMAL),
    one("68", TOOL),
    one("170", API),
    one("430", BROWSER),
    one("703", COOKIES),
    one("3072", LARGE),
    Input { name: "16x31", bytes: PIPELINED.as_flattened(), heads: 16 },
];

const fn one(name: &'static str, bytes: &'static [u8]) -> Input {
    Input { name, bytes, heads: 1 }
}

/// A pipelining client's requests.
const PIPELINED: &[[u8; 31]; 16] = &[*MINIMAL; 16];

/// The least that HTTP/1.1 requires.
const MINIMAL: &[u8; 31] = b"\
    GET / HTTP/1.1\r\n\
    Host: x.org\r\n\
    \r\n";

/// A health check.
const TOOL: &[u8; 68] = b"\
    GET /status/services HTTP/1.1\r\n\
    Host: localhost:8080\r\n\
    Accept: */*\r\n\
    \r\n";

/// An API client.
const API: &[u8; 170] = b"\
    POST /api/v2/orders?page=3 HTTP/1.1\r\n\
    Host: api.example.org\r\n\
    User-Agent: orders/2.4\r\n\
    Accept: application/json\r\n\
    Content-Length: 0\r\n\
    X-Request-Id: 9988c79fc35526f7eaed467\r\n\
    \r\n";

/// A browser's request for a page.
const BROWSER: &[u8; 430] = b"\
    GET /articles/2024/why-queues-fill-up.html HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Referer: https://www.example.org/articles/\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=mHbEuLxp; csrf=QNQqMyH7; visitor=zKg.rbyvNPVTD2g4SY_09OXVvdsjj\r\n\
    \r\n";

/// A browser's request for a picture, with long cookies: the size used in other benchmarks.
const COOKIES: &[u8; 703] = b"\
    GET /media/photos/2011/07/harbour-at-dawn-with-two-fishing-boats.jpg HTTP/1.1\r\n\
    Host: www.harbour-diaries.example\r\n\
    User-Agent: Mozilla/5.0 (Windows; U; Windows NT 6.1; de; rv:1.9.2.3) Gecko/20100401 Firefo\
    x/3.6.3\r\n\
    Accept: image/png,image/*;q=0.8,*/*;q=0.5\r\n\
    Accept-Language: de,en-us;q=0.7,en;q=0.3\r\n\
    Accept-Encoding: gzip,deflate\r\n\
    Accept-Charset: ISO-8859-1,utf-8;q=0.7,*;q=0.7\r\n\
    Keep-Alive: 115\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=Tec9CoNxs01CWzEvYuv3QD72o-RawtSLt-4HRKOp0B.8q-pDotXsxBd-ns_R7iO6; csrf=3iR\
    67nOVEealGonX; visitor=DMLGUld0; theme=zaIRfqMJ; lang=Tb6YpLVoFKY3QvP5M4X87wo8; cart=HKyG5\
    xEzC083tdYXNwT-g-n1CjuFEWKapOkvQ84ZFkSd9xaqcR-VmthRWufBBzyL; _track=xpUvnvujAoF8Owv.tcX4d0\
    Yt; beta=no\r\n\
    \r\n";

/// A page behind a login and a proxy.
const LARGE: &[u8; 3072] = b"\
    GET /dashboard/reports/quarterly?from=2024-01-01&to=2024-03-31&group=region&page=2 HTTP/1.\
    1\r\n\
    Host: reports.intranet.example\r\n\
    Sec-Ch-Ua: \"Chromium\";v=\"126\", \"Not/A)Brand\";v=\"8\"\r\n\
    Sec-Ch-Ua-Mobile: ?0\r\n\
    Sec-Ch-Ua-Platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/\
    126.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=\
    0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: https://reports.intranet.example/dashboard/reports\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    If-None-Match: \"5f2c-61a9e0d3b7c40\"\r\n\
    X-Forwarded-For: 203.0.113.77, 198.51.100.4\r\n\
    X-Forwarded-Proto: https\r\n\
    X-Request-Id: 7b1e2c9f-40d8-4c57-9a55-0c2f1d8e6b34\r\n\
    Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    Authorization: Bearer FjO69cK7r4bTR8ubS7fs7O6s5hBRifDndoLc87q-SEXWKCvnvaC-HVA9fRlHj_R59EHI\
    -W8byY87DVANI2XJle-7rAgvOO-alVPzhTzRJMtjamjtt1_nxA0iRLEg6WOOPOdZP7o8qUkeH6d0jcK39qMjwIKYfe\
    _XZZDaidHxZk2qKi3CbxKlJsGsouPtp-J33zYxoIVIKasdtYpHqZ0ZIafNpZmTGbOXPaklg3jXiYIjg21dhTor3wrB\
    uFxRg7JWRgj2Un0jmiYf7FZd7voz5cV38UFpzVZvxpVhRfOUE9uS9rCfjKiwhXscO_kskTPHRpJEbK2HWU2NGB8etd\
    axy5nygSxPj-Fbz7nS9y2bxas8xfW1HRyg5uekx6npDDqBVmyI2w412oYvVdT-ODrtHphPI6g19wTk7aMAvB5WnkyV\
    0xKGFv4DrJn0GMaYzpv0bxbiP5O2CCtajNF-jAi5Sh2ta35hKdMV62v_x0W8b8Yw9xuqtW-M9ZA5p9iGwCh1Z7_ycr\
    _BAXXXfpDaY2BW9VyNqq9bixKgzeKt-_O3k0_VPCiRIMEfG0FHOfp1BwL8ON9KSz6zd6AjvyTEoLS3Pqa6QVhA_6gl\
    YRH\r\n\
    Cookie: session=jbkOyQADR6DJRR2KpOPq0TkSebPKWkg16iObL.li; csrf=Akl8dN_pCg5ZE6NbksPpYnr5; v\
    isitor=kNJfjvo54FfNWDRDvSNLV.Um20_XuVWmYPd8gJTK; theme=U.55gaEa; lang=.Mh38eog; cart=Als8I\
    wkFzWiw.Zqx.uEL4pnPkzFMlxe6KVdwOLxM; _track=iKGaUtm6BwDE04sjBTRK6g_t; _first=5260JCdJsQChq\
    KYkh1vjVc8iyPx17IU-vl0573Pnuk7d1piQp.RmD8C6Z0MTXaVm; ab_group=dxt4fGx6yTxBra.1; consent=xu\
    pkFoNGuMYY03Tt; session10=DrO9li43edkIi335h5858Kp8Ndvqqe44bAZcgcqBEHSx2IwA6LF.YA3Q3TcIY6rb\
    ; csrf11=AlT0pA60I_c_n-IxkArt-lea_dFJcPObS3LqCxS.lMtWg4IFjVFlXUwtgGXu.oyC; visitor12=jjvFI\
    kuFoxdldpNjiCCTzpddzqNX41PTs.BX2iwP0vTRttnfWTExcRvPkwSZW2Qn; theme13=1N_d4wrkpIcWqY2LHQWqn\
    OfJ; lang14=wzMP719R; cart15=JxdsCPsOXrlg8oYsiJQXBgYJtyMwSnZ0zJvCFZ_S; _track16=aKjCN7aFhI\
    11q9BwcitnVIjqPlbCp-raUefxRthY-7ZXi_v-l0kFX-BXLSR9nK32; _first17=5GcZ_i4rRgHcKHYqATHSw6BBJ\
    -PG.y.Iq-fGoECgb5PP6PCd05oY7.Miar5Wmcn4; ab_group18=c1LhDxCnR4E2T6-5fRPV81NjYQdaYrj1S01fbr\
    fg; consent19=2zvVn6KiaB-Ww64171aNDDl_7ELUYlieKkRZNVyG; session20=z7G1jDSvMNMtVA0FxySk5Aii\
    ; csrf21=-Ia_MptD7OXqw1NWbJ8tOxFZ; visitor22=porobnBKJPjv5-LdLXajE3Iz2c4q_rxzScVgw4HpnMa36\
    4LW_8OfbwEtb.OnVkLu; theme23=m4wJ736xZ7ciE0pC; lang24=UdYFLwNfLZMlUui1Xo4ks9LhVcN29VHFtZeK\
    iGs7nViUjyRQvj3yBGlx_dEWZej7; cart25=ZAfwpKTxuucNBRk7; _track26=i2U.HhU0AnKT5Qrznhntmpab; \
    _first27=-zmqhoDp18Q7IGA-b1QZhyvnK4kL0JV9fJvFM7Bd-V3h2vbsnldDw32cox2XuUdI; ab_group28=m5yf\
    X-.z; consent29=ffPhttiX; session30=l2NR4O6KHPuGTFP6FiJvS1Kdn8FTp.2shROW554y; csrf31=y4cwf\
    1Tu5AeDIlf7yaXiUfgBQAzvbAWsNpKWCZYD3vGsoNO1JkuFF_\r\n\
    \r\n";
