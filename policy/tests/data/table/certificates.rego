# Functions that modules of OPA leave to their host, as certificates need them.
package keywright

deny contains "cidr merge" if net.cidr_merge(["192.0.128.0/24", "192.0.129.0/24"]) == {"192.0.128.0/23"}
deny contains "cidr intersects" if net.cidr_intersects(input.object.range, "192.168.1.0/24")
deny contains "cidr contains" if net.cidr_contains(input.object.range, "192.168.7.1")
deny contains "cidr is valid" if net.cidr_is_valid(input.object.range)
deny contains "digest" if crypto.sha256(input.object.text) == "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
deny contains "semver" if semver.compare(input.object.version, "1.2.3") == -1
deny contains "semver is valid" if semver.is_valid(input.object.version)
deny contains "clock" if time.clock(time.parse_rfc3339_ns(input.time)) == [12, 30, 15]
deny contains "date" if time.date(time.parse_rfc3339_ns(input.time)) == [2030, 1, 2]
deny contains "weekday" if time.weekday(time.parse_rfc3339_ns(input.time)) == "Wednesday"
deny contains "later" if time.add_date(time.parse_rfc3339_ns(input.time), 0, 1, 0) > time.parse_rfc3339_ns(input.time)
deny contains "strings count" if strings.count(input.object.text, "o") == 2

deny contains "token" if {
	[header, payload, signature] := io.jwt.decode(data.token)
	header.alg == "ES256"
	payload == {"n": 7, "sub": "web"}
	signature == "010203"
}

deny contains sprintf("certificate %s", [leaf.Subject.CommonName]) if leaf.IsCA == false
deny contains "names" if leaf.DNSNames == ["web.example.test", "*.shop.test"]
deny contains "addresses" if leaf.IPAddresses == ["10.0.0.1", "2001:db8::1"]
deny contains "mail" if leaf.EmailAddresses == ["ops@example.test"]
deny contains "organization" if leaf.Subject.Organization == ["Shop", "Till"]
deny contains "serial" if leaf.SerialNumber == 79228162514264337593543950335
deny contains "usages" if leaf.KeyUsage == 1
deny contains "extended usages" if leaf.ExtKeyUsage == [1, 2]
deny contains "issuer" if leaf.Issuer.CommonName == root.Subject.CommonName
deny contains "root" if {
	root.IsCA
	root.BasicConstraintsValid
	root.MaxPathLenZero
	root.KeyUsage == 96
}
deny contains "lasts" if time.parse_rfc3339_ns(leaf.NotAfter) > time.parse_rfc3339_ns(leaf.NotBefore)
deny contains "algorithms" if {
	leaf.PublicKeyAlgorithm == 3
	leaf.SignatureAlgorithm == 10
	leaf.Version == 3
}

deny contains "request" if {
	request := crypto.x509.parse_certificate_request(data.request)
	request.Subject.CommonName == "web"
	request.DNSNames == ["web.example.test", "*.shop.test"]
	request.PublicKeyAlgorithm == 3
}

chain := crypto.x509.parse_certificates(data.chain)

leaf := chain[0]

root := chain[1]
