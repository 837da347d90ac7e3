using DingFlow.Hosting;

namespace DingFlow.Parking;

/// <summary>Puts into the program what people do about messages that could not be handled.</summary>
public static class ParkingServices
{
    /// <summary>Adds the functions by which people deal with parked messages, and those that park dead letters: one for every queue.</summary>
    public static IServiceCollection AddParkedMessages(this IServiceCollection services) => services
        .AddFunction<ListParkedMessages>(Roles.OperationsRead)
        .AddFunction<GetParkedMessage>(Roles.OperationsRead)
        .AddFunction<ReplayParkedMessage>(Roles.OperationsWrite)
        .AddFunction<DiscardParkedMessage>(Roles.OperationsWrite)
        .AddFunction<PruneParkedMessages>()
        .AddFunction<ParkOffboardingDeadLetters>()
        .AddFunction<ParkTransfersDeadLetters>()
        .AddFunction<ParkAlertDeadLetters>()
        .AddFunction<ParkSignalDeadLetters>();
}
