package sqshttp

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// AWS's published examples for signers: a request, and its signature in a header and in
// a presigned URL. They are in the signing test suite v4 of github.com/awslabs/aws-c-auth;
// botocore carries an older edition of them. All are for the service "service" in
// us-east-1, at one time. Two are missing that no server can get: a path with a bare space,
// and those that leave the path as it is, which is for S3.
func TestSignatureVectors(t *testing.T) {
	const (
		key, secret = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
		date        = "20150830T123600Z"
		scope       = "20150830/us-east-1/service/aws4_request"
		letters     = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		token       = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
		stsToken    = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/" +
			"qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xV" +
			"qr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
		vanilla    = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
		preVanilla = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"
	)
	for _, v := range []struct {
		name, method, target, headers, signed, body string
		token                                       string
		inHeader, inQuery                           string
	}{
		{"get-vanilla", "GET", "/", "", "", "", "", vanilla, preVanilla},
		{"get-vanilla-with-session-token", "GET", "/", "", "", "", token, "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8", "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c"},
		{"get-header-key-duplicate", "GET", "/", "My-Header1:value2|My-Header1:value2|My-Header1:value1", "my-header1", "", "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea", "3349ee0b81b4b589da0ff28a395c3591e04de515651dd74f298fa992d1507a97"},
		{"get-header-value-multiline", "GET", "/", "My-Header1:value1|  value2|     value3", "my-header1", "", "", "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd", "e6f5def831211aca02987a44b96826706278c7bc078112ae0263659c5b2f2d56"},
		{"get-header-value-order", "GET", "/", "My-Header1:value4|My-Header1:value1|My-Header1:value3|My-Header1:value2", "my-header1", "", "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01", "313720e71ca6202fdcfa9b20f88de01a4eb0638a83c833b1c184359a4eda864e"},
		{"get-header-value-trim", "GET", "/", `My-Header1: value1|My-Header2: "a   b   c"`, "my-header1;my-header2", "", "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736", "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4"},
		{"get-relative", "GET", "/example/..", "", "", "", "", vanilla, preVanilla},
		{"get-relative-relative", "GET", "/example1/example2/../..", "", "", "", "", vanilla, preVanilla},
		{"get-slash", "GET", "//", "", "", "", "", vanilla, preVanilla},
		{"get-slash-dot-slash", "GET", "/./", "", "", "", "", vanilla, preVanilla},
		{"get-slash-pointless-dot", "GET", "/./example", "", "", "", "", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5", "35034b1a0bdd969f346975386daf8aedfd4976573b8348cf4f67eaa41c5857de"},
		{"get-slashes", "GET", "//example//", "", "", "", "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84", "c1834e8fb0307243711f0f907f6ab7311ed300d87f13792d7ee4da89ab93e082"},
		{"get-unreserved", "GET", "/" + letters, "", "", "", "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f", "95968482db1b9e0fadef6efc1bd24689f77c77d9ef56919c96a28cc92e0d6005"},
		{"get-utf8", "GET", "/ሴ", "", "", "", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44"},
		{"get-vanilla-empty-query-key", "GET", "/?Param1=value1", "", "", "", "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb", "49096700cbbaa5753443850f40df10f904fc2fdb544dc9512203cc77c471a9de"},
		{"get-vanilla-query-order-encoded", "GET", "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", "", "", "", "", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac", "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787"},
		{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", "", "", "", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"},
		{"get-vanilla-query-unreserved", "GET", "/?" + letters + "=" + letters, "", "", "", "", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197", "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf"},
		{"get-vanilla-utf8-query", "GET", "/?ሴ=bar", "", "", "", "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04", "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600"},
		{"post-vanilla", "POST", "/", "", "", "", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", "2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"},
		{"post-vanilla-query", "POST", "/?Param1=value1", "", "", "", "", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11", "a9ef26247f293bffe40eeff86a0480ba8c14d31503b2e0c3399e3a16bf1a3682"},
		{"post-header-key-sort", "POST", "/", "My-Header1:value1", "my-header1", "", "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c", "c09d07e0d55871f10f2a6d350d994acf6825a3cae70673d7def55616e6119dd7"},
		{"post-header-value-case", "POST", "/", "My-Header1:VALUE1", "my-header1", "", "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d", "0698bc9e4f7f9139065ba2909c0e99da257e8e2a42492a097bcd46d792391fed"},
		{"post-sts-header-before", "POST", "/", "", "", "", stsToken, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead", "46c2e3c63c1dbe7d39f8ada16fe7f001c1f56c5791441565323677f96308871c"},
		{"post-x-www-form-urlencoded", "POST", "/", "Content-Type:application/x-www-form-urlencoded|Content-Length:13|x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e", "content-length;content-type;x-amz-content-sha256", "Param1=value1", "", "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b", ""},
		{"post-x-www-form-urlencoded", "POST", "/", "Content-Type:application/x-www-form-urlencoded|Content-Length:13", "content-length;content-type", "Param1=value1", "", "", "89a40deed0f26f9461242825a082d2222717248abc7ab41f552ad84a94ad46e9"},
		{"post-x-www-form-urlencoded-parameters", "POST", "/", "Content-Type:application/x-www-form-urlencoded; charset=utf-8|Content-Length:13|x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e", "content-length;content-type;x-amz-content-sha256", "Param1=value1", "", "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422", ""},
		{"post-x-www-form-urlencoded-parameters", "POST", "/", "Content-Type:application/x-www-form-urlencoded; charset=utf-8|Content-Length:13", "content-length;content-type", "Param1=value1", "", "", "0dbeb9b026c7b6675f266b8427efec9b4fa8b1f6ef1477d717aea231106eab4d"},
	} {
		check := func(form, target, headers, want string) {
			t.Helper()
			text := v.method + " " + target + " HTTP/1.1\r\nHost:example.amazonaws.com\r\n" + strings.ReplaceAll(headers, "|", "\r\n") + "\r\n\r\n" + v.body
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
			require.NoError(t, err, v.name)
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			g, err := readSignature(r)
			require.NoError(t, err, v.name)
			require.Equal(t, want, g.value)
			require.Equal(t, want, g.sign(secret, g.canonical(r, r.Host, body)), "%s, in a %s:\n%s", v.name, form, g.canonical(r, r.Host, body))
		}
		if v.inHeader != "" {
			signed := "x-amz-date"
			headers := v.headers
			add := func(h string) { headers = strings.TrimPrefix(headers+"|"+h, "|") }
			if v.token != "" {
				add("X-Amz-Security-Token:" + v.token)
				signed += ";x-amz-security-token"
			}
			add("X-Amz-Date:" + date)
			add(fmt.Sprintf("Authorization:AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", key, scope, sorted(v.signed, signed), v.inHeader))
			check("header", v.target, headers, v.inHeader)
		}
		if v.inQuery != "" {
			target := v.target
			if !strings.Contains(target, "?") {
				target += "?"
			}
			target += fmt.Sprintf("&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s&X-Amz-Date=%s&X-Amz-SignedHeaders=%s&X-Amz-Expires=3600",
				encoded(key+"/"+scope), date, encoded(sorted(v.signed)))
			if v.token != "" {
				target += "&X-Amz-Security-Token=" + encoded(v.token)
			}
			check("URL", target+"&X-Amz-Signature="+v.inQuery, v.headers, v.inQuery)
		}
	}
}

// sorted returns lists of headers in one, with host.
func sorted(lists ...string) string {
	all := strings.Split(strings.Join(append(lists, "host"), ";"), ";")
	slices.Sort(all)
	return strings.Trim(strings.Join(all, ";"), ";")
}
