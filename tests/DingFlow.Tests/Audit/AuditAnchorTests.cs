using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.Pkcs;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Azure.Core;
using DingFlow.Audit;
using DingFlow.Storage;
using DingFlow.Tests.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>Roots are kept where the writer of the trail cannot change them.</summary>
public sealed class AuditAnchorTests(AzuriteFixture azurite) : IDisposable
{
    private readonly DataDirectory _files = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_root_is_stamped_by_the_authority_and_the_stamp_is_good_for_no_other()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        using var http = new HttpClient(new TimestampAuthority());
        var anchors = new AuditAnchors(
            new FolderFiles(_files.Path), new AuditOptions { TimestampUrl = new Uri("https://tsa.example/") }, http, driver.Time);
        var (first, second) = ((await feature.Seals.FindAsync("2026-11-24", Cancellation))!, (await feature.Seals.FindAsync("2026-11-25", Cancellation))!);
        await anchors.PutAsync(first, Cancellation);

        var anchor = (await anchors.ReadAsync(first.Day, Cancellation))!;
        Assert.True(AuditAnchors.IsStampOf(anchor.Timestamp, first.Root));
        Assert.False(AuditAnchors.IsStampOf(anchor.Timestamp, second.Root));
        Assert.False(AuditAnchors.IsStampOf(new byte[100], first.Root));

        // Anchored once: a trail that was rewritten does not replace it.
        await anchors.PutAsync(second with { Day = first.Day }, Cancellation);
        Assert.Equal(first.Root, await anchors.FindAsync(first.Day, Cancellation));
    }

    [Theory]
    [InlineData(HttpStatusCode.ServiceUnavailable, 0)]
    [InlineData(HttpStatusCode.RequestTimeout, 0)]
    [InlineData(HttpStatusCode.OK, 10)]
    [InlineData(HttpStatusCode.OK, 10_000_000)]
    public async Task Without_an_answer_of_the_authority_nothing_is_anchored(HttpStatusCode status, int bytes)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        using var http = new HttpClient(new TimestampAuthority { Refusal = status, Bytes = bytes });
        var anchors = new AuditAnchors(
            new FolderFiles(_files.Path), new AuditOptions { TimestampUrl = new Uri("https://tsa.example/") }, http, driver.Time);
        var seal = (await feature.Seals.FindAsync("2026-11-24", Cancellation))!;
        await Assert.ThrowsAsync<IOException>(() => anchors.PutAsync(seal, Cancellation));
        Assert.Null(await anchors.FindAsync(seal.Day, Cancellation));
    }

    [Fact]
    public async Task A_verification_checks_the_stamps_and_tells_those_that_were_made_late()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        using var http = new HttpClient(new TimestampAuthority { Time = driver.Time });
        var anchors = new AuditAnchors(
            new FolderFiles(_files.Path), new AuditOptions { TimestampUrl = new Uri("https://tsa.example/") }, http, driver.Time);
        var seals = await feature.Seals.ReadAsync(null, null, Cancellation).ToListAsync(Cancellation);
        foreach (var (seal, at) in seals.Zip([driver.Time.GetUtcNow(), driver.Time.GetUtcNow().AddHours(1), driver.Time.GetUtcNow().AddDays(30)]))
        {
            driver.Time.SetUtcNow(at);
            await anchors.PutAsync(seal, Cancellation);
        }

        Task<AuditVerification> VerifyAsync() =>
            new AuditVerifier(driver.Real, feature.Seals, feature.Policy, anchors, feature.Archive, driver.Time).VerifyAsync("2026-11-24", "2026-11-26", Cancellation);
        var result = await VerifyAsync();
        Assert.Equal((null, 3, 3, 1), (result.FirstFault, result.Anchored, result.Stamped, result.StampedLate));

        // A stamp of another day beside the right root; none; and no stamp at all that is one.
        string PathOf(string day) => Path.Combine(_files.Path, "anchors", day + ".json");
        var (first, second) = ((await anchors.ReadAsync("2026-11-24", Cancellation))!, (await anchors.ReadAsync("2026-11-25", Cancellation))!);
        await WriteAsync(second with { Timestamp = first.Timestamp });
        result = await VerifyAsync();
        Assert.Equal((AuditFaultKind.AnchorMismatch, "2026-11-25"), (result.FirstFault!.Kind, result.FirstFault.Day));
        await WriteAsync(second with { Timestamp = [1, 2, 3] });
        Assert.Equal(AuditFaultKind.AnchorMismatch, (await VerifyAsync()).FirstFault!.Kind);
        await WriteAsync(second with { Timestamp = null });
        Assert.Equal((true, 3, 2), ((await VerifyAsync()).Ok, (await VerifyAsync()).Anchored, (await VerifyAsync()).Stamped));

        // A proof carries the stamp; whoever checks it offline reads its time.
        await WriteAsync(second);
        var leaves = await feature.Seals.LeavesAsync(seals[1], Cancellation);
        var entry = await TrailMeddling.EntryAsync(feature, "main", 6);
        foreach (var (anchor, says) in new[] { (second, "a valid time stamp of 2026-11-27 09:00:00Z by CN=Authority of the tests"), (second with { Timestamp = first.Timestamp }, "The time stamp is not valid for this root.") })
        {
            await File.WriteAllTextAsync(
                PathOf("proof"), JsonSerializer.Serialize(AuditProof.Of(entry, seals[1], leaves, 0, anchor), AuditApiJson.Default.AuditProof), Cancellation);
            using var output = new StringWriter();
            var code = await AuditCommand.RunAsync(["audit", "check", PathOf("proof")], output, () => throw new InvalidOperationException("No store."), Cancellation);
            Assert.Equal(anchor == second ? AuditCommand.Ok : AuditCommand.Broken, code);
            Assert.Contains(says, output.ToString(), StringComparison.Ordinal);
        }

        async Task WriteAsync(AuditAnchor anchor) =>
            await File.WriteAllBytesAsync(PathOf(anchor.Day), JsonSerializer.SerializeToUtf8Bytes(anchor, AuditSealJson.Default.AuditAnchor), Cancellation);
    }

    [Fact]
    public async Task The_trail_is_the_same_over_table_storage()
    {
        await using var driver = new TrailDriver();
        var store = new TablesEntityStore(
            new TablesOptions { ConnectionString = await azurite.ConnectionStringAsync(Cancellation) },
            new Lazy<TokenCredential>(() => throw new InvalidOperationException("No identity is needed.")), driver.Time);
        // Chains of its own: the emulator is shared.
        var writer = $"w{Guid.NewGuid():N}"[..20];
        var trail = driver.Open(writer, store);
        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => i % 2 == 0
            ? trail.AppendAsync(TrailDriver.Event($"{i}"), Cancellation)
            : trail.SubmitAsync(
                EntityTransaction.Of("AuditStates", EntityOperation.Upsert(new Entity(writer, $"{i}"))), [TrailDriver.Event($"{i}")], Cancellation)));
        await trail.DrainAsync(Cancellation);

        var entries = await DingFlow.Messaging.AuditChainReader.ReadAsync(store, writer, 1, 1000, Cancellation).ToListAsync(Cancellation);
        Assert.Equal(Enumerable.Range(1, 40).Select(static i => (long)i), entries.Select(static entry => entry.Sequence));
        Assert.Equal(Enumerable.Range(0, 40).Select(static i => $"{i}").Order(), entries.Select(static entry => entry.Read()!.Reason!).Order());
        var left = await store.QueryAsync("AuditStates", writer, RowKeyRange.StartingWith(DingFlow.Messaging.AuditOutbox.RowPrefix), 10, null, Cancellation);
        Assert.Empty(left.Entities);
        var states = await store.QueryAsync("AuditStates", writer, DingFlow.Messaging.AuditOutbox.RowsBefore(), 100, null, Cancellation);
        Assert.Equal(20, states.Entities.Count);
    }

    public void Dispose() => _files.Dispose();

    /// <summary>A time stamping authority after RFC 3161 with a certificate of its own.</summary>
    private sealed class TimestampAuthority : HttpMessageHandler
    {
        private const string Sha256 = "2.16.840.1.101.3.4.2.1";

        private readonly RSA _key = RSA.Create(2048);
        private readonly X509Certificate2 _certificate;

        public TimestampAuthority()
        {
            var request = new CertificateRequest("CN=Authority of the tests", _key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.8")], critical: true));
            _certificate = request.CreateSelfSigned(new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero), new DateTimeOffset(2040, 1, 1, 0, 0, 0, TimeSpan.Zero));
        }

        /// <summary>How it refuses; a time-out is none of an answer at all.</summary>
        public HttpStatusCode? Refusal { get; init; }

        public int Bytes { get; init; }

        public TimeProvider? Time { get; init; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Assert.Equal("application/timestamp-query", request.Content!.Headers.ContentType!.MediaType);
            Assert.True(Rfc3161TimestampRequest.TryDecode(await request.Content.ReadAsByteArrayAsync(cancellationToken), out var asked, out _));
            return Refusal == HttpStatusCode.RequestTimeout ? throw new TaskCanceledException("The time limit of the client has passed.")
                : Refusal is { } refusal ? new(refusal) { Content = new StreamContent(new MemoryStream(new byte[Bytes])) }
                : new(HttpStatusCode.OK) { Content = new ByteArrayContent(Answer(asked)) };
        }

        protected override void Dispose(bool disposing)
        {
            _certificate.Dispose();
            _key.Dispose();
            base.Dispose(disposing);
        }

        private byte[] Answer(Rfc3161TimestampRequest asked)
        {
            var cms = new SignedCms(new ContentInfo(new Oid("1.2.840.113549.1.9.16.1.4"), Info(asked)), detached: false);
            var signer = new CmsSigner(SubjectIdentifierType.IssuerAndSerialNumber, _certificate)
            {
                DigestAlgorithm = new Oid(Sha256), IncludeOption = X509IncludeOption.EndCertOnly,
            };
            signer.SignedAttributes.Add(new AsnEncodedData(new Oid("1.2.840.113549.1.9.16.2.47"), SigningCertificate()));
            cms.ComputeSignature(signer);
            var writer = new AsnWriter(AsnEncodingRules.DER);
            using (writer.PushSequence())
            {
                using (writer.PushSequence())
                {
                    writer.WriteInteger(0);
                }

                writer.WriteEncodedValue(cms.Encode());
            }

            return writer.Encode();
        }

        private byte[] Info(Rfc3161TimestampRequest asked)
        {
            var writer = new AsnWriter(AsnEncodingRules.DER);
            using (writer.PushSequence())
            {
                writer.WriteInteger(1);
                writer.WriteObjectIdentifier("1.3.6.1.4.1.99999.1");
                using (writer.PushSequence())
                {
                    using (writer.PushSequence())
                    {
                        writer.WriteObjectIdentifier(Sha256);
                        writer.WriteNull();
                    }

                    writer.WriteOctetString(asked.GetMessageHash().Span);
                }

                writer.WriteInteger(4711);
                writer.WriteGeneralizedTime(Time?.GetUtcNow() ?? new DateTimeOffset(2026, 11, 25, 0, 6, 0, TimeSpan.Zero), omitFractionalSeconds: true);
                writer.WriteInteger(asked.GetNonce()!.Value.Span);
            }

            return writer.Encode();
        }

        private byte[] SigningCertificate()
        {
            var writer = new AsnWriter(AsnEncodingRules.DER);
            using (writer.PushSequence())
            using (writer.PushSequence())
            using (writer.PushSequence())
            {
                writer.WriteOctetString(SHA256.HashData(_certificate.RawData));
            }

            return writer.Encode();
        }
    }
}
